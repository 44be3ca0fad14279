/* switch_aarch64.S: changing stacks, as AAPCS64 demands: x19 to x30, d8 to d15. x18 is left alone. From the saved sp upwards:
 * d8..d15, x19..x28, x29, x30. */
#if defined(__aarch64__)
    .text
    .globl cygrt_switch
    .hidden cygrt_switch
    .type cygrt_switch, %function
    .p2align 4
/* struct m *cygrt_switch(void **save_sp, void *to_sp, struct m *m): returns in the other context, with its m. */
cygrt_switch:
    .cfi_startproc
    sub sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp d8, d9, [sp, #0]
    stp d10, d11, [sp, #16]
    stp d12, d13, [sp, #32]
    stp d14, d15, [sp, #48]
    stp x19, x20, [sp, #64]
    stp x21, x22, [sp, #80]
    stp x23, x24, [sp, #96]
    stp x25, x26, [sp, #112]
    stp x27, x28, [sp, #128]
    stp x29, x30, [sp, #144]
    .cfi_rel_offset x19, 64
    .cfi_rel_offset x20, 72
    .cfi_rel_offset x21, 80
    .cfi_rel_offset x22, 88
    .cfi_rel_offset x23, 96
    .cfi_rel_offset x24, 104
    .cfi_rel_offset x25, 112
    .cfi_rel_offset x26, 120
    .cfi_rel_offset x27, 128
    .cfi_rel_offset x28, 136
    .cfi_rel_offset x29, 144
    .cfi_rel_offset x30, 152
    mov x9, sp
    str x9, [x0]
    mov sp, x1                 /* the other stack has the same shape: the rules above still hold */
    mov x0, x2
    ldp d8, d9, [sp, #0]
    ldp d10, d11, [sp, #16]
    ldp d12, d13, [sp, #32]
    ldp d14, d15, [sp, #48]
    ldp x19, x20, [sp, #64]
    ldp x21, x22, [sp, #80]
    ldp x23, x24, [sp, #96]
    ldp x25, x26, [sp, #112]
    ldp x27, x28, [sp, #128]
    ldp x29, x30, [sp, #144]
    add sp, sp, #160
    .cfi_def_cfa_offset 0
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    br x30
    .cfi_endproc
    .size cygrt_switch, . - cygrt_switch

    .globl cygrt_entry
    .hidden cygrt_entry
    .type cygrt_entry, %function
    .p2align 4
/* Where a goroutine begins, behind the nop (stack.h says why): the m that switched to it is in x0. The chain of frames ends
 * here. */
cygrt_entry:
    .cfi_startproc
    .cfi_undefined x30
    nop
    hint #36                   /* bti j: an indirect jump lands here */
    mov x29, #0
    mov x30, #0
    bl cygrt_goroutine_main
    brk #1
    .cfi_endproc
    .size cygrt_entry, . - cygrt_entry
#endif
    .section .note.GNU-stack,"",%progbits
