/* switch_x86_64.S: changing stacks. Saves what the System V ABI says a call preserves, except the floating-point control
 * words, which belong to the process (docs/internals/runtime.md). The stack a goroutine waits on looks, from its saved sp
 * upwards: r15 r14 r13 r12 rbx rbp return-address. It ends in
 * ret: nearly every switch is made by the one call in cygrt_leave_to(), so the return predictor guesses right, and it stays in step for the
 * returns that follow. A jump instead leaves an entry behind, and each of those misses (52 against 23 ns for a yield). Only a stack that
 * begins is jumped to: no call has led to its first instruction, so ret would miss each time (56 against 44 ns for spawn and exit).
 *
 * No GNU property note: a program that links this runs without shadow stacks, which this switch does not know. */
#if defined(__x86_64__)
    .text
    .globl cygrt_switch
    .hidden cygrt_switch
    .type cygrt_switch, @function
    .p2align 4
/* struct m *cygrt_switch(void **save_sp, void *to_sp, struct m *m): returns in the other context, with its m. */
cygrt_switch:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    movq %rsp, (%rdi)
    movq %rsi, %rsp            /* the other stack has the same shape: the rules above still hold */
    movq %rdx, %rax
    leaq cygrt_entry+1(%rip), %rcx
    cmpq %rcx, 48(%rsp)        /* + CYGRT_ENTRY_SKIP: where stack.c lets a stack begin */
    je .Lbegins
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_adjust_cfa_offset 48
    .cfi_rel_offset rbp, 40
    .cfi_rel_offset rbx, 32
    .cfi_rel_offset r12, 24
    .cfi_rel_offset r13, 16
    .cfi_rel_offset r14, 8
    .cfi_rel_offset r15, 0
.Lbegins:
    addq $56, %rsp             /* the words are still there, below the stack pointer, for who unwinds from the jump */
    .cfi_adjust_cfa_offset -56
    jmp cygrt_entry
    .cfi_endproc
    .size cygrt_switch, . - cygrt_switch

    .globl cygrt_entry
    .hidden cygrt_entry
    .type cygrt_entry, @function
    .p2align 4
/* Where a goroutine begins, behind the nop (stack.h says why): the m that switched to it is in rax. The chain of frames ends
 * here. */
cygrt_entry:
    .cfi_startproc
    .cfi_undefined rip
    nop
    endbr64
    xorl %ebp, %ebp
    movq %rax, %rdi
    call cygrt_goroutine_main
    ud2
    .cfi_endproc
    .size cygrt_entry, . - cygrt_entry
#endif
    .section .note.GNU-stack,"",%progbits
