/* Callers ask a server that is slow to answer, each with a timeout of 90 s below a request that is called off. Then, with the request over,
 * each calls once more.
 *
 * nested: timeouts as everybody writes them.
 * detached: the mistake of the Go form, which here has a name that can be searched for: a context with the request's values that does not end
 * with it. With timers that were armed and forgotten.
 *
 * usage: cygnet nested|detached CALLERS */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_TIMEOUT (90 * CYG_SECOND)

static _Atomic int in_flight, begun, back;
static cyg_addr at;
static bool detached;

/* ---- the server ---------------------------------------------------------------------------------------------------- */

static void serve(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char byte;
    if (cyg_read(c, &byte, 1) != 1) return;
    atomic_fetch_add(&begun, 1);
    atomic_fetch_add(&in_flight, 1);
    (void)cyg_read(c, &byte, 1); /* until the caller leaves */
    atomic_fetch_sub(&in_flight, 1);
}

static void accept_all(void *arg) {
    for (cyg_conn *c; cyg_accept(arg, &c) == 0;)
        if (cyg_go(serve, c) < 0) cyg_close(c);
}

/* ---- the callers ----------------------------------------------------------------------------------------------------- */

static int ask(void) {
    cyg_auto_conn cyg_conn *c = NULL;
    char byte = 'x';
    int err = cyg_dial_addr(&at, NULL, &c);
    if (err < 0) return err;
    ssize_t n = cyg_write(c, &byte, 1);
    if (n > 0) n = cyg_read(c, &byte, 1);
    return n < 0 ? (int)n : 0;
}

static void caller(void *arg) {
    (void)arg;
    cyg_ctx *above = detached ? cyg_ctx_detached(NULL) : cyg_ctx_acquire(cyg_ctx_current());
    cyg_ctx *ctx = cyg_ctx_with_timeout(above, LONG_TIMEOUT);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    (void)ask();
    cyg_ctx_leave(&scope);
    cyg_ctx_release(ctx);
    cyg_ctx_release(above);
    atomic_fetch_add(&back, 1);
}

static void call_all(cyg_ctx *request, int n) {
    cyg_ctx_scope scope = cyg_ctx_enter(request); /* the callers inherit it */
    for (int i = 0; i < n; i++)
        if (cyg_go(caller, NULL) < 0) abort();
    cyg_ctx_leave(&scope);
}

static void wait_for(const _Atomic int *x, int wanted) {
    cyg_time end = cyg_now() + 20 * CYG_SECOND;
    while (atomic_load(x) != wanted && cyg_now() < end) cyg_sleep(CYG_MILLISECOND);
}

static unsigned long long timers(void) {
    cyg_runtime_stats s;
    cyg_stats(&s);
    return s.timers;
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s nested|detached CALLERS\n", argv[0]), 2;
    detached = strcmp(argv[1], "detached") == 0;
    int n = atoi(argv[2]);
    cyg_listener *l;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    if ((err = cyg_go(accept_all, l)) < 0) return cyg_fail("cyg_go", err);
    cyg_listener_addr(l, &at);

    cyg_ctx *request = cyg_ctx_with_timeout(cyg_ctx_background(), CYG_MINUTE);
    call_all(request, n);
    wait_for(&in_flight, n);
    printf("calls in flight: %d\n", atomic_load(&in_flight));
    printf("timers meanwhile: %llu\n", timers());
    cyg_ctx_cancel(request, 0);
    int before = atomic_load(&begun);
    call_all(request, n);
    if (detached) {
        wait_for(&begun, before + n);
    } else {
        wait_for(&back, 2 * n);
        wait_for(&in_flight, 0);
    }
    printf("callers that gave up: %d\n", atomic_load(&back));
    printf("calls begun after the end: %d\n", atomic_load(&begun) - before);
    printf("calls still in flight: %d\n", atomic_load(&in_flight));
    printf("timers left: %llu\n", timers());
    cyg_ctx_release(request);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
