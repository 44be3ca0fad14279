/* sigpipe.h: splice and sendfile know no MSG_NOSIGNAL. cyg_main ignores SIGPIPE; where the runtime is a guest in a program that
 * does not, the thread blocks the signal around each call that may raise it, and takes it back. Nothing may park in between. */
#ifndef CYG_IO_SIGPIPE_H
#define CYG_IO_SIGPIPE_H

#include <cygnet/runtime.h> /* errno */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

/* Whether it must be guarded against. A system call, so once a copy. */
static inline bool sigpipe_kills(void) {
    struct sigaction sa;
    return sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL;
}

struct sigpipe_guard {
    bool on, pending;
    sigset_t pipe, before;
};

static inline void sigpipe_block(struct sigpipe_guard *g, bool on) {
    g->on = on;
    if (!on) return;
    sigset_t now;
    g->pending = sigpending(&now) == 0 && sigismember(&now, SIGPIPE) == 1;
    sigemptyset(&g->pipe);
    sigaddset(&g->pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &g->pipe, &g->before);
}

/* err: the call's errno, 0 if it succeeded. */
static inline void sigpipe_restore(struct sigpipe_guard *g, int err) {
    if (!g->on) return;
    if (err == EPIPE && !g->pending) (void)sigtimedwait(&g->pipe, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &g->before, NULL);
}

#endif
