/* stack.c: stacks are slots carved from large mappings ("arenas"), one size class (a power of two) per arena, and kept for
 * good: a free slot goes to a list. A slot, from low to high addresses: guard page, stack, then the copied argument and
 * struct g in the same page as the first frames, so that a parked goroutine costs one page. The top is shifted by a colour,
 * because page-aligned tops would all fall into the same cache sets; and a slot is a page longer than a power of two, because the first
 * pages of stacks that lie 64 pages apart share two sets of the second-level TLB (touching 1,000 of them: 39 ns each, else 6).
 *
 * Guards: MADV_GUARD_INSTALL where the kernel has it (no new mapping per stack); else mprotect for the first MPROTECT_MAX
 * stacks (two mappings each, of vm.max_map_count); else a pattern at the low end that is checked at every park. */
#include "base/spin.h"
#include "runtime/stack_census.h"
#include "runtime/fiber.h"
#include "runtime/stack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define MADV_GUARD_INSTALL_ 102
#define MPROTECT_MAX 25000
#define CLASS_MIN 14 /* 16 KiB */
#define CLASS_MAX 26 /* 64 MiB */
#define ARENA_BYTES (64u << 20)
#define ARENAS 65536

/* Guarded by lock, as is what stack.h shows of the arenas. */
static uint32_t lock;
struct cygrt_arena *cygrt_arenas;
_Atomic uint32_t cygrt_narenas;
static struct {
    struct g *free;
    struct cygrt_arena *open; /* the one being carved */
} classes[CLASS_MAX + 1];
static _Atomic uint64_t carved, unguarded;
static enum { GUARD_MPROTECT, GUARD_MADVISE } guard_kind; /* set before the first thread starts */

unsigned cygrt_size_class(size_t bytes) {
    if (bytes <= CYGRT_STACK_MIN) return CLASS_MIN;
    if (bytes >= CYGRT_STACK_MAX) return CLASS_MAX;
    return 64 - (unsigned)__builtin_clzll(bytes - 1);
}

/* Whether a guard made by madvise really faults: emulators accept advice they do not know. The kernel is asked to read the
 * page (write to a pipe) and must say EFAULT. */
static bool guard_works(void) {
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    int fds[2];
    bool works = false;
    if (madvise(page, PAGE, MADV_GUARD_INSTALL_) == 0 && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0) {
        works = write(fds[1], page, 1) < 0;
        close(fds[0]);
        close(fds[1]);
    }
    munmap(page, PAGE);
    return works;
}

static void warn_unguarded(void) {
    static const char text[] =
        "cygnet: warning: no memory mappings left for guard pages: further goroutine stacks are only "
        "checked when they park (raise the sysctl vm.max_map_count, or run Linux 6.13 or later)\n";
    (void)!write(2, text, sizeof text - 1);
}

/* LeakSanitizer reads whole mappings, and does not know of guards that are none. */
#ifdef CYGRT_ASAN
#define GUARD_BY_MADVISE false
#else
#define GUARD_BY_MADVISE true
#endif

void cygrt_stacks_init(void) {
    __asm__ volatile("" : : "r"(&cyg_debug_table)); /* named, so that a static link takes it in */
    bool by_madvise = GUARD_BY_MADVISE && !cygrt_sched.no_guard && !cygrt_sched.no_mprotect && guard_works();
    guard_kind = by_madvise ? GUARD_MADVISE : GUARD_MPROTECT;
}

static bool place_guard(char *slot) {
    if (guard_kind == GUARD_MADVISE && madvise(slot, PAGE, MADV_GUARD_INSTALL_) == 0) return true;
    uint64_t n = atomic_load_explicit(&carved, memory_order_relaxed);
    if (n < MPROTECT_MAX && !cygrt_sched.no_mprotect && mprotect(slot, PAGE, PROT_NONE) == 0) return true;
    if (atomic_fetch_add_explicit(&unguarded, 1, memory_order_relaxed) == 0) warn_unguarded();
    return false;
}

static struct cygrt_arena *open_arena(unsigned cls) {
    if (!cygrt_arenas) {
        void *table = mmap(NULL, sizeof *cygrt_arenas * ARENAS, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED) return NULL;
        cygrt_arenas = table;
    }
    uint32_t n = atomic_load_explicit(&cygrt_narenas, memory_order_relaxed);
    if (n == ARENAS) return NULL;
    size_t slot = PAGE + ((size_t)1 << cls);
    size_t slots = slot > ARENA_BYTES / 4 ? 4 : ARENA_BYTES / slot, bytes = slots * slot;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED) return NULL;
    (void)madvise(base, bytes, MADV_NOHUGEPAGE);
#ifdef CYGRT_ASAN
    __lsan_register_root_region(base, bytes); /* what a parked goroutine points to is not leaked */
#endif
    cygrt_arenas[n] =
        (struct cygrt_arena){.base = base, .slots = (uint32_t)slots, .slot_bytes = (uint32_t)slot, .size_class = cls};
    atomic_store_explicit(&cygrt_narenas, n + 1, memory_order_release);
    return &cygrt_arenas[n];
}

static struct g *g_of_slot(const struct cygrt_arena *a, uint32_t i) {
    char *top = a->base + (size_t)(i + 1) * a->slot_bytes;
    return (struct g *)(void *)(top - CYGRT_G_AREA - (i * CYGRT_COLOUR_MUL % CYGRT_COLOURS) * CYGRT_COLOUR_STEP);
}

/* Makes slot i of a into a stack; called without the lock, so slow work disturbs nobody. */
static struct g *carve(struct cygrt_arena *a, uint32_t i) {
    char *slot = a->base + (size_t)i * a->slot_bytes;
    struct g *g = g_of_slot(a, i);
    g->task.kind = CYGRT_TASK_G; /* all else is zero: nobody has used these pages; cygrt_each_g may be looking at magic */
    g->size_class = (uint8_t)a->size_class;
    g->lo = slot + PAGE;
    g->hi = (char *)g;
    g->guarded = place_guard(slot);
    if (!g->guarded) *(uint64_t *)(void *)g->lo = CYGRT_G_MAGIC;
    cygrt_stack_census_paint(g);
    atomic_fetch_add_explicit(&carved, 1, memory_order_relaxed);
    __atomic_store_n(&g->magic, CYGRT_G_MAGIC, __ATOMIC_RELEASE); /* from now on cygrt_each_g sees it */
    return g;
}

struct g *cygrt_stack_new(unsigned cls, int *err) {
    struct g *g = NULL;
    struct cygrt_arena *a = NULL;
    uint32_t i = 0;
    cyg_spin_lock(&lock);
    if ((g = classes[cls].free))
        classes[cls].free = (struct g *)g->task.next;
    else {
        a = classes[cls].open;
        if (!a || atomic_load_explicit(&a->used, memory_order_relaxed) == a->slots)
            a = classes[cls].open = open_arena(cls);
        if (a) i = atomic_fetch_add_explicit(&a->used, 1, memory_order_release);
    }
    cyg_spin_unlock(&lock);
    if (!g && a) g = carve(a, i);
    if (!g) *err = cygrt_fail(CYG_ENOMEM, "no address space for a stack of %zu KiB", ((size_t)1 << cls) >> 10);
    return g;
}

void cygrt_stack_free(struct g *g) {
    cyg_spin_lock(&lock);
    g->task.next = (struct cygrt_task *)classes[g->size_class].free;
    classes[g->size_class].free = g;
    cyg_spin_unlock(&lock);
}

void cygrt_stack_reset(struct g *g) {
    void **sp = (void **)(void *)((uintptr_t)g->hi & ~(uintptr_t)15);
#if defined(__x86_64__)
    *--sp = NULL; /* keeps the stack aligned as after a call */
    *--sp = NULL;
    *--sp = (char *)cygrt_entry + CYGRT_ENTRY_SKIP;
    for (int i = 0; i < 6; i++) *--sp = NULL;
#elif defined(__aarch64__)
    sp -= 20;
    memset(sp, 0, 20 * sizeof *sp);
    sp[19] = (char *)cygrt_entry + CYGRT_ENTRY_SKIP;
#else
#error "cygnet: no context switch for this processor"
#endif
    __atomic_store_n(&g->sp, sp, __ATOMIC_RELAXED); /* cygrt_walk_of may be reading it */
    atomic_store_explicit(&g->wait, W_IDLE, memory_order_relaxed);
}

/* Two pages at the top stay: they are touched at once by the next goroutine. */
void cygrt_stack_trim(struct g *g) {
    if (cygrt_stack_census_on()) return; /* it would take the paint off */
    unsigned char resident[CYGRT_STACK_MAX / PAGE / 256];
    char *keep = (char *)((uintptr_t)g->hi & ~(uintptr_t)(PAGE - 1)) - 3 * PAGE;
    char *lo = g->guarded ? g->lo : g->lo + PAGE;
    if (keep <= lo) return;
    size_t n = (size_t)(keep - lo), pages = n / PAGE;
    if (pages > sizeof resident) { /* too large to look at: ask for all of it */
        (void)madvise(lo, n, MADV_DONTNEED);
        return;
    }
    if (mincore(lo, n, resident) == 0 && !memchr(resident, 1, pages)) return;
    (void)madvise(lo, n, MADV_DONTNEED);
}

static bool drop_fiber(struct g *g, void *arg) {
    (void)arg;
    fiber_dropped(g);
    return true;
}

void cygrt_stacks_drop(void) {
    cygrt_each_g(drop_fiber, NULL);
    uint32_t n = atomic_exchange(&cygrt_narenas, 0);
    for (uint32_t i = 0; i < n; i++) {
        struct cygrt_arena *a = &cygrt_arenas[i];
#ifdef CYGRT_ASAN
        (void)a; /* stay mapped: LeakSanitizer looks there at exit */
#else
        munmap(a->base, (size_t)a->slots * a->slot_bytes);
#endif
    }
    memset(classes, 0, sizeof classes);
    atomic_store(&carved, 0);
    atomic_store(&unguarded, 0);
}

void cygrt_each_g(bool (*fn)(struct g *g, void *arg), void *arg) {
    uint32_t n = atomic_load_explicit(&cygrt_narenas, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t used = atomic_load_explicit(&cygrt_arenas[i].used, memory_order_acquire);
        for (uint32_t k = 0; k < used && k < cygrt_arenas[i].slots; k++) {
            struct g *g = g_of_slot(&cygrt_arenas[i], k);
            if (__atomic_load_n(&g->magic, __ATOMIC_ACQUIRE) == CYGRT_G_MAGIC && !fn(g, arg)) return;
        }
    }
}

struct g *cygrt_stack_owner(const void *addr, bool *in_guard) {
    const char *p = addr;
    uint32_t n = atomic_load_explicit(&cygrt_narenas, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        const struct cygrt_arena *a = &cygrt_arenas[i];
        if (p < a->base || p >= a->base + (size_t)a->slots * a->slot_bytes) continue;
        uint32_t k = (uint32_t)((size_t)(p - a->base) / a->slot_bytes);
        if (k >= atomic_load_explicit(&cygrt_arenas[i].used, memory_order_acquire)) return NULL;
        *in_guard = (size_t)(p - a->base) % a->slot_bytes < PAGE;
        return g_of_slot(a, k);
    }
    return NULL;
}

void cygrt_stack_stats(uint64_t *n, uint64_t *bare) {
    *n = atomic_load_explicit(&carved, memory_order_relaxed);
    *bare = atomic_load_explicit(&unguarded, memory_order_relaxed);
}
