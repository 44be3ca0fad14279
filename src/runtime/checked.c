/* checked.c: what checked builds (-Dchecked=true) look at: a goroutine that parks while it holds a pthread mutex may come back on
 * another thread, and until then everybody who wants the mutex blocks his thread, the one that would let it go among them.
 *
 * The linker sends pthread_mutex_lock and its kin here (--wrap), from the library and, by the flags in cygnet.pc, from programs.
 * What is held is noted in the M: a goroutine that holds one never leaves it, or is caught when it does. */
#include "runtime/misuse.h"
#include "runtime/sched.h"

#ifdef CYG_CHECKED
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define HELD (sizeof(((struct m *)0)->held) / sizeof(struct cygrt_held))

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
CYG_API int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
CYG_API int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
CYG_API int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
CYG_API int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

/* Beyond what there is room for, the oldest are remembered; their unlocks are found or ignored. */
static int locked(int err, const void *mutex, const void *where) {
    struct m *m = cygrt_m();
    if (err == 0 && m && m->curg && m->nheld < HELD) m->held[m->nheld++] = (struct cygrt_held){mutex, where};
    return err;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    return locked(__real_pthread_mutex_lock(mutex), mutex, __builtin_return_address(0));
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
    return locked(__real_pthread_mutex_trylock(mutex), mutex, __builtin_return_address(0));
}

int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
    return locked(__real_pthread_mutex_timedlock(mutex, until), mutex, __builtin_return_address(0));
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    struct m *m = cygrt_m();
    for (unsigned i = m ? m->nheld : 0; i-- > 0;)
        if (m->held[i].mutex == mutex) {
            memmove(&m->held[i], &m->held[i + 1], (m->nheld - i - 1) * sizeof m->held[0]);
            m->nheld--;
            break;
        }
    return __real_pthread_mutex_unlock(mutex);
}

void cygrt_check_held(struct m *m, struct g *g) {
    struct cygrt_held h = m->held[m->nheld - 1];
    m->nheld = 0;
    Dl_info info = {0};
    char where[160];
    if (dladdr(h.where, &info) && info.dli_sname)
        snprintf(where, sizeof where, "%s+0x%lx", info.dli_sname,
                 (unsigned long)((const char *)h.where - (const char *)info.dli_saddr));
    else if (info.dli_fname)
        snprintf(where, sizeof where, "%s+0x%lx", info.dli_fname,
                 (unsigned long)((const char *)h.where - (const char *)info.dli_fbase));
    else
        snprintf(where, sizeof where, "%p", h.where);
    cygrt_misuse(g->file ? g->file : "(a connection's readiness)", g->line,
                 "the goroutine that was started here %s while it holds the pthread mutex at %p, locked in %s",
                 g->after == AFTER_EXIT                              ? "ends"
                 : g->after == AFTER_YIELD || g->after == AFTER_TURN ? "yields"
                                                                     : "parks",
                 h.mutex, where);
}
#endif
