/* once.c: the slow way of cyg_once_do: everybody takes the lock, the first one does it and marks it done before it unlocks. */
#include "runtime/misuse.h"
#include "sync/waiter.h"

#define DONE 2u

void cyg_once_slow(cyg_once *o, void (*fn)(void *), void *arg, const char *file, int line) {
    struct g *g = cyg_need_goroutine("cyg_once_do");
    /* Only this goroutine can have stored its own number, and it would still hold the lock. */
    if (__atomic_load_n(&o->doer, __ATOMIC_RELAXED) == g->id)
        cygrt_misuse(file, line, "once at %p: its function came back to it", (void *)o);
    cyg_mutex_lock(&o->lock);
    if (__atomic_load_n(&o->state, __ATOMIC_RELAXED) != DONE) {
        __atomic_store_n(&o->doer, g->id, __ATOMIC_RELAXED);
        fn(arg);
        __atomic_store_n(&o->doer, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&o->state, DONE, __ATOMIC_RELEASE);
    }
    cyg_mutex_unlock(&o->lock);
}
