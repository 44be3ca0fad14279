/* spin.h: a lock of one word for sections of a few dozen instructions. Never held across a park, a system call that can
 * block, or a callback into a program. After a while of spinning the waiter yields its CPU, since the holder's thread may
 * have been descheduled. */
#ifndef CYG_BASE_SPIN_H
#define CYG_BASE_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

static inline void cyg_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

static inline bool cyg_spin_trylock(uint32_t *l) {
    return __atomic_load_n(l, __ATOMIC_RELAXED) == 0 && __atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void cyg_spin_lock(uint32_t *l) {
    for (unsigned i = 0; !cyg_spin_trylock(l); i++) {
        if (i < 100)
            cyg_cpu_relax();
        else
            sched_yield();
    }
}

static inline void cyg_spin_unlock(uint32_t *l) { __atomic_store_n(l, 0, __ATOMIC_RELEASE); }

#endif
