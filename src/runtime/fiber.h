/* fiber.h: tells AddressSanitizer and ThreadSanitizer when a thread changes stacks. Empty in ordinary builds.
 * Vocabulary: a NULL g is the M's own (scheduler) stack. */
#ifndef CYG_RUNTIME_FIBER_H
#define CYG_RUNTIME_FIBER_H

#include "runtime/sched.h"

#if defined(__SANITIZE_ADDRESS__)
#define CYGRT_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define CYGRT_TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CYGRT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CYGRT_TSAN 1
#endif
#endif

#ifdef CYGRT_ASAN
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);
void __asan_handle_no_return(void);
void __lsan_register_root_region(const void *p, size_t n);
#endif
#ifdef CYGRT_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

/* For what reads others' goroutines and stacks as they are, without a lock, on purpose: dumps. */
#if defined(CYGRT_TSAN)
#define CYGRT_RACY __attribute__((no_sanitize("thread"), noinline))
#elif defined(CYGRT_ASAN)
#define CYGRT_RACY __attribute__((no_sanitize("address"), noinline))
#else
#define CYGRT_RACY
#endif

/* For what handlers of asynchronous signals call: ThreadSanitizer's checks must not be entered from within themselves. */
#if defined(CYGRT_TSAN) && defined(__clang__) && __has_attribute(disable_sanitizer_instrumentation)
#define CYGRT_IN_HANDLER __attribute__((disable_sanitizer_instrumentation))
#define CYGRT_HANDLERS_BARE 1
#else
#define CYGRT_IN_HANDLER
#endif

/* Reads once, as it is, in such a function: another thread may be writing it. */
#define CYGRT_PEEK(x) (*(const volatile __typeof__(x) *)&(x))

/* Before a switch from `from` to `to`; dying: from will never run again. */
static inline void fiber_before(struct m *m, struct g *from, struct g *to, bool dying) {
    (void)m, (void)from, (void)to, (void)dying;
#ifdef CYGRT_ASAN
    /* Its last frames never return: their red zones would stay on a stack that others are given. */
    if (dying) __asan_handle_no_return();
    void **save = dying ? NULL : from ? &from->asan_fake : &m->asan_fake;
    if (to)
        __sanitizer_start_switch_fiber(save, to->lo, (size_t)(to->hi - to->lo));
    else
        __sanitizer_start_switch_fiber(save, m->stack_lo, m->stack_size);
#endif
#ifdef CYGRT_TSAN
    __tsan_switch_to_fiber(to ? to->tsan_fiber : m->tsan_fiber, 0);
#endif
}

/* First thing on the stack that was switched to. */
static inline void fiber_after(struct m *m, struct g *now) {
    (void)m, (void)now;
#ifdef CYGRT_ASAN
    __sanitizer_finish_switch_fiber(now ? now->asan_fake : m->asan_fake, NULL, NULL);
#endif
}

static inline void fiber_created(struct g *g) {
    (void)g;
#ifdef CYGRT_ASAN
    g->asan_fake = NULL;
#endif
#ifdef CYGRT_TSAN
    /* A new one each time: a goroutine's last calls never return, and would fill the fiber's shadow stack. */
    if (g->tsan_fiber) __tsan_destroy_fiber(g->tsan_fiber);
    g->tsan_fiber = __tsan_create_fiber(0);
#endif
}

static inline void fiber_dropped(struct g *g) {
    (void)g;
#ifdef CYGRT_TSAN
    if (g->tsan_fiber) __tsan_destroy_fiber(g->tsan_fiber);
#endif
}

static inline void fiber_thread(struct m *m) {
    (void)m;
#ifdef CYGRT_TSAN
    m->tsan_fiber = __tsan_get_current_fiber();
#endif
}

#endif
