/* cyg_chan.c: channels, select, and a million goroutines that a closed channel wakes. */
#include "cyg.h"
#include <stdatomic.h>

static cyg_chan *a, *b;

static void open_both(size_t capacity) {
    a = cyg_chan_new(sizeof(long), capacity);
    b = cyg_chan_new(sizeof(long), capacity);
    if (!a || !b) must(CYG_ENOMEM);
}

static int64_t release_both(int64_t took) {
    cyg_chan_release(a);
    cyg_chan_release(b);
    return took;
}

static void back_and_forth(int me, long n) {
    for (long i = 0, x; i < n; i++) {
        if (me == 0) {
            must(cyg_chan_send(a, &i));
            must(cyg_chan_recv(b, &x));
        } else {
            must(cyg_chan_recv(a, &x));
            must(cyg_chan_send(b, &x));
        }
    }
}

int64_t chan_unbuffered(long n) {
    open_both(0);
    return release_both(together(2, back_and_forth, n));
}

static void pass_on(int me, long n) {
    for (long i = 0, x; i < n; i++) {
        if (me == 0)
            must(cyg_chan_send(a, &i));
        else
            must(cyg_chan_recv(a, &x));
    }
}

int64_t chan_buffered(long n) {
    open_both(BUFFERED);
    return release_both(together(2, pass_on, n));
}

/* One of the first two cases is always ready. */
int64_t select_ready(long n) {
    open_both(1);
    int64_t begin = now_ns();
    for (long i = 0, x; i < n; i++) must(cyg_select(NULL, CYG_SEND(a, &i), CYG_RECV(a, &x), CYG_RECV(b, &x)));
    return release_both(now_ns() - begin);
}

static void choose_between(int me, long n) {
    for (long i = 0, x; i < n; i++) {
        if (me == 0)
            must(cyg_chan_send(i & 1 ? b : a, &i));
        else
            must(cyg_select(NULL, CYG_RECV(a, &x), CYG_RECV(b, &x)));
    }
}

/* The receiver waits at two channels; the sender takes them in turns. */
int64_t select_blocking(long n) {
    open_both(0);
    return release_both(together(2, choose_between, n));
}

static cyg_waitgroup ended;
static _Atomic long ready;

static void wait_for_close(void *arg) {
    long x;
    atomic_fetch_add(&ready, 1);
    if (cyg_chan_recv((cyg_chan *)arg, &x) != CYG_EOF) must(CYG_ESTATE);
    cyg_waitgroup_done(&ended);
}

void wake_exit(void) {
    cyg_chan *start = cyg_chan_new(sizeof(long), 0);
    if (!start) must(CYG_ENOMEM);
    cyg_waitgroup_add(&ended, MILLION);
    int64_t begin = now_ns();
    for (long i = 0; i < MILLION; i++) must(cyg_go(wait_for_close, start));
    while (atomic_load(&ready) < MILLION) cyg_yield();
    int64_t parking = now_ns() - begin;
    begin = now_ns();
    cyg_chan_close(start);
    must(cyg_waitgroup_wait(&ended));
    int64_t waking = now_ns() - begin;
    cyg_chan_release(start);
    printf("park %.2f\nwake_exit %.2f\n", (double)parking / MILLION, (double)waking / MILLION);
}
