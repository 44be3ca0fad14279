/* A service and a client of it in rounds: so many requests at once, each answered when all of its round have come, so that every one
 * needs a connection. The client's pool keeps them from round to round: that is its default.
 *
 * The service has a loopback address of its own, so that no other program's sockets are counted.
 *
 * usage: cygnet ROUNDS AT-ONCE */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>

static int at_once, answered;
static cyg_http_pool *pool;
static cyg_waitgroup round_over;

/* Lets go when so many have come, again and again. */
static cyg_mutex mutex;
static cyg_cond all_here;
static int here, finished;

static void wait_for_all(void) {
    cyg_mutex_lock(&mutex);
    int mine = finished;
    if (++here == at_once) {
        here = 0;
        finished++;
        cyg_cond_broadcast(&all_here);
    }
    while (finished == mine) (void)cyg_cond_wait(&all_here, &mutex);
    cyg_mutex_unlock(&mutex);
}

static void answer(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req, (void)arg;
    wait_for_all();
    (void)cyg_http_send(res, 200, "text/plain", "ok", 2);
}

static int get(void) {
    cyg_http_client_conn *cc;
    cyg_time deadline = cyg_now() + CYG_MINUTE;
    int err = cyg_http_pool_get(pool, deadline, &cc, NULL);
    if (err < 0) return err;
    cyg_http_field host = {CYG_STR("Host"), CYG_STR("localhost"), CYG_HTTP_HOST};
    cyg_http_call call = {.method = CYG_STR("GET"), .target = CYG_STR("/"), .fields = &host, .nfields = 1};
    cyg_http_answer a;
    cyg_str piece;
    ssize_t n = 1;
    if ((err = cyg_http_client_send(cc, &call, deadline)) == 0) err = cyg_http_client_recv(cc, &a, deadline);
    while (err == 0 && (n = cyg_http_client_next(cc, &piece, deadline)) > 0) continue;
    cyg_http_pool_put(cc); /* read to its end, so it is kept */
    return err < 0 ? err : n == CYG_EOF ? 0 : (int)n;
}

static void request(void *unused) {
    (void)unused;
    if (get() == 0) __atomic_add_fetch(&answered, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_done(&round_over);
}

static void serve(void *arg) {
    cyg_http_server *s;
    if (cyg_http_server_new(answer, NULL, NULL, &s) == 0) (void)cyg_http_server_serve(s, arg);
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s ROUNDS AT-ONCE\n", argv[0]), 2;
    int rounds = atoi(argv[1]), err;
    at_once = atoi(argv[2]);
    cyg_listener *l;
    if ((err = cyg_listen("tcp", "127.0.4.4:0", NULL, &l)) < 0) return cyg_fail("listen", err);
    cyg_addr at;
    cyg_listener_addr(l, &at);
    if ((err = cyg_http_pool_new(&at, NULL, &pool)) < 0) return cyg_fail("pool", err);
    if ((err = cyg_go(serve, l)) < 0) return cyg_fail("cyg_go", err);
    for (int i = 0; i < rounds; i++) {
        cyg_waitgroup_add(&round_over, at_once);
        for (int k = 0; k < at_once; k++)
            if ((err = cyg_go(request, NULL)) < 0) return cyg_fail("cyg_go", err);
        cyg_waitgroup_wait(&round_over);
    }
    cyg_listener_stats sockets;
    cyg_listener_get_stats(l, &sockets);
    cyg_ports ports;
    if ((err = cyg_ports_to(&at, &ports)) < 0) return cyg_fail("ports", err);
    printf("requests: %d\n", answered);
    printf("connections made: %llu\n", (unsigned long long)sockets.accepted_total);
    printf("ports taken: %llu\n", (unsigned long long)ports.used);
    printf("in TIME_WAIT: %llu\n", (unsigned long long)ports.time_wait);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
