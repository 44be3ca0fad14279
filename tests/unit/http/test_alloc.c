/* No allocation per request: this program counts every call of the allocator, its own, the library's and libc's. After a
 * warm-up that has all clients in a handler at once, so that every pool has been as empty as it can get, 20,000 requests from
 * eight keep-alive clients must do with the memory there is.
 *
 * The definitions below take the place of libc's in the whole process and pass on to it. A sanitizer brings an allocator of
 * its own that they would hide: the program is skipped then.
 */
#include "harness.h"

#define CLIENTS 8
#define WARM_UP 2000
#define REQUESTS 20000
#define BODY ((size_t)10240)
#define END "END\n" /* how bodies end */
#define LAST_CHUNK "0\r\n\r\n"

/* ---- the allocator ---------------------------------------------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define SANITIZED 1
#endif

static uint64_t taken, given; /* atomic: calls that asked for memory, and that gave some back */

#ifndef SANITIZED
#define COUNT(counter) __atomic_add_fetch(&(counter), 1, __ATOMIC_RELAXED)
#define EXPORT __attribute__((visibility("default")))
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

EXPORT void *malloc(size_t n) {
    COUNT(taken);
    return __libc_malloc(n);
}
EXPORT void *calloc(size_t n, size_t size) {
    COUNT(taken);
    return __libc_calloc(n, size);
}
EXPORT void *realloc(void *p, size_t n) {
    COUNT(taken);
    return __libc_realloc(p, n);
}
EXPORT void *aligned_alloc(size_t align, size_t n) {
    COUNT(taken);
    return __libc_memalign(align, n);
}
EXPORT int posix_memalign(void **out, size_t align, size_t n) {
    COUNT(taken);
    void *p = __libc_memalign(align, n);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}
EXPORT void free(void *p) {
    if (p) COUNT(given);
    __libc_free(p);
}
#endif

static uint64_t count_of(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

/* ---- the server's side ------------------------------------------------------------------------------------------ */

static char body[BODY]; /* all 'x', and END */
static struct server app, gw;
static cyg_http_pool *pool;
static int meeting; /* atomic: handlers still to come before any goes on */

/* Holds the handlers until there is one of every client. */
static void meet(void) {
    if (__atomic_load_n(&meeting, __ATOMIC_RELAXED) <= 0) return;
    __atomic_sub_fetch(&meeting, 1, __ATOMIC_RELAXED);
    (void)EVENTUALLY(__atomic_load_n(&meeting, __ATOMIC_RELAXED) <= 0);
}

/* What the target says: /hello, /sized, /chunked; the request's body is read first. */
static void answer(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_str target = cyg_http_req_target(req), piece;
    while (cyg_http_req_next(req, &piece) > 0) {}
    meet(); /* with all that reading the body took */
    if (cyg_str_eq(target, CYG_STR("/sized"))) {
        cyg_http_send(res, 200, "text/plain", body, BODY);
    } else if (cyg_str_eq(target, CYG_STR("/chunked"))) {
        cyg_http_res_begin(res, 200, NULL, 0, CYG_HTTP_BODY_CHUNKED);
        for (size_t at = 0; at < BODY; at += BODY / 4) cyg_http_res_write(res, body + at, BODY / 4);
    } else if (cyg_str_eq(target, CYG_STR("/allocates"))) {
        cyg_http_printf(res, 200, "text/plain", "%2000s" END, "too long for the stack");
    } else {
        cyg_http_printf(res, 200, "text/plain", "hello from %d\n" END, 1);
    }
}

static void forward(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_http_forward_opts o = {.deadline = cyg_now_cached() + PATIENCE, .request_id = CYG_STR("0123456789abcdef")};
    cyg_http_forward_result r;
    if (cyg_http_forward(req, res, pool, &o, &r) < 0) cyg_http_res_abort(res);
}

/* ---- the clients ------------------------------------------------------------------------------------------------ */

static struct client {
    cyg_conn *c;
    int left; /* requests to do */
    int bad;  /* answers that were not what was asked for */
    char in[2 * BODY];
} clients[CLIENTS];
static const char *what; /* the request, and how its answer starts and ends */
static size_t what_n;
static const char *start, *end;
static cyg_waitgroup running;

static bool exchange(struct client *cl) {
    size_t n = 0, start_n = strlen(start), end_n = strlen(end);
    if (cyg_write(cl->c, what, what_n) < 0) return false;
    for (;;) {
        ssize_t r = cyg_read(cl->c, cl->in + n, sizeof cl->in - n);
        if (r <= 0) return false;
        n += (size_t)r;
        if (n >= start_n + end_n && memcmp(cl->in + n - end_n, end, end_n) == 0)
            return memcmp(cl->in, start, start_n) == 0;
    }
}

static void client(void *arg) {
    struct client *cl = arg;
    for (; cl->left > 0 && cl->bad == 0; cl->left--)
        if (!exchange(cl)) cl->bad++;
    cyg_waitgroup_done(&running);
}

/* All clients at once, n requests together. Returns how many of them got what they asked for. */
static int run(int n) {
    cyg_waitgroup_add(&running, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].left = n / CLIENTS;
        clients[i].bad = 0;
        cyg_set_deadline(clients[i].c, cyg_now() + 12 * PATIENCE);
        if (cyg_go(client, &clients[i]) < 0) return -1;
    }
    cyg_waitgroup_wait(&running);
    int good = n;
    for (int i = 0; i < CLIENTS; i++) good -= clients[i].left;
    return good;
}

static cyg_duration took; /* by the last REQUESTS */

/* How often memory was taken from the allocator during REQUESTS requests of this kind; -1 when something else went wrong. */
static int64_t count_requests(const cyg_addr *to, const char *request, size_t n, const char *from, const char *until) {
    what = request;
    what_n = n;
    start = from;
    end = until;
    for (int i = 0; i < CLIENTS; i++)
        if (!(clients[i].c = dial(to))) return -1;
    int good = run(CLIENTS) + run(WARM_UP);
    uint64_t taken_before = count_of(&taken), given_before = count_of(&given);
    cyg_time began = cyg_now();
    good += run(REQUESTS);
    took = cyg_now() - began;
    uint64_t more = count_of(&taken) - taken_before, less = count_of(&given) - given_before;
    for (int i = 0; i < CLIENTS; i++) cyg_close(clients[i].c);
    if (good != CLIENTS + WARM_UP + REQUESTS) {
        fprintf(stderr, "%d answers of %d\n", good, CLIENTS + WARM_UP + REQUESTS);
        return -1;
    }
    if (more + less > 0)
        fprintf(stderr, "%llu taken, %llu given back in %d requests\n", (unsigned long long)more,
                (unsigned long long)less, REQUESTS);
    return (int64_t)more;
}

static int64_t count_http(const cyg_addr *to, const char *request, size_t n, const char *until) {
    __atomic_store_n(&meeting, CLIENTS, __ATOMIC_RELAXED);
    return count_requests(to, request, n, "HTTP/1.1 200 OK\r\n", until);
}

static int up(bool with_gateway) {
    memset(body, 'x', sizeof body);
    memcpy(body + sizeof body - strlen(END), END, strlen(END));
    int err = server_up(&app, answer, NULL, NULL);
    if (err < 0 || !with_gateway) return err;
    if ((err = cyg_http_pool_new(&app.addr, NULL, &pool)) < 0) return err;
    return server_up(&gw, forward, NULL, NULL);
}

static int down(bool with_gateway) {
    int err = with_gateway ? server_down(&gw) : 0;
    if (with_gateway) cyg_http_pool_close(pool);
    return err < 0 ? err : server_down(&app);
}

/* A thread that loses its CPU while it holds a shard of free buffers (http/bufpool.c) leaves the other Ps without those: they
 * take new ones, for as many requests as are in flight, which then stay for all to use. So every P may come to own as many as are in
 * use at once. (Counted with six of this program at once on two CPUs, uploads through the gateway: up to 25, and 18 with a pool that
 * gives nothing back.) Once a second a shard gives back half of what nobody needed in the last one, which the next moment may need
 * after all, and a connection to the upstream is opened anew now and then. All of that is bounded by what is in use at once
 * and by the time it took, not by the number of requests. */
static int64_t in_use; /* buffers that all clients' requests hold at once */
static int64_t allowed(void) { return in_use * (int64_t)cyg_procs() * (1 + took / CYG_SECOND); }

/* A machine that stops a thread for 10 ms makes the runtime take its P and start another thread, once: a few allocations. */
enum { FOR_A_THREAD = 6 };
static int64_t for_threads(void) {
    cyg_runtime_stats st;
    cyg_stats(&st);
    return FOR_A_THREAD * ((int64_t)st.threads - (int64_t)cyg_procs() - 1 /* sysmon */);
}
static bool allocates_nothing(int64_t n) { return n >= 0 && n <= allowed() + for_threads(); }

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n"
#define POST "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10240\r\n\r\n"
#define ALLOCATES_NOTHING(request, until) CHECK(allocates_nothing(count_http(to, request, strlen(request), until)))

/* Each request holds a buffer at every server that it comes to, and one at the gateway's end of the connection to the app. */
static int ask_for_everything(const cyg_addr *to, bool with_gateway) {
    static char upload[sizeof POST - 1 + BODY + sizeof GET("/chunked") - 1];
    in_use = CLIENTS * (with_gateway ? 3 : 1);
    ALLOCATES_NOTHING(GET("/hello"), END);
    ALLOCATES_NOTHING(GET("/sized"), END);
    ALLOCATES_NOTHING(GET("/chunked"), LAST_CHUNK);
    memcpy(upload, POST, sizeof POST - 1);
    memcpy(upload + sizeof POST - 1, body, BODY);
    in_use += CLIENTS * (with_gateway ? 2 : 1); /* and a large one where its body comes in */
    CHECK(allocates_nothing(count_http(to, upload, sizeof POST - 1 + BODY, END)));
    /* the next request comes in behind the body and leaves the large buffer with it */
    memcpy(upload + sizeof POST - 1 + BODY, GET("/chunked"), sizeof GET("/chunked") - 1);
    CHECK(allocates_nothing(count_http(to, upload, sizeof upload, LAST_CHUNK)));
    return 0;
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

/* Else a zero means nothing. */
TEST(test_what_a_handler_allocates_is_counted) {
    CHECK(up(false) == 0);
    in_use = CLIENTS;
    const char *request = GET("/allocates");
    int64_t n = count_http(&app.addr, request, strlen(request), END);
    CHECK(n >= REQUESTS && n <= REQUESTS + allowed() + for_threads());
    CHECK(down(false) == 0);
    return 0;
}

TEST(test_served_requests_allocate_nothing) {
    CHECK(up(false) == 0);
    int line = ask_for_everything(&app.addr, false);
    CHECK(down(false) == 0);
    return line;
}

TEST(test_forwarded_requests_allocate_nothing) {
    CHECK(up(true) == 0);
    int line = ask_for_everything(&gw.addr, true);
    cyg_connpool_stats st;
    cyg_connpool_get_stats(cyg_http_pool_conns(pool), &st);
    fprintf(stderr, "%llu connections to the upstream, %llu dialled\n", (unsigned long long)st.open,
            (unsigned long long)st.opens_total);
    CHECK(down(true) == 0);
    if (line) return line;
    CHECK(st.open <= 4 * CLIENTS * cyg_procs()); /* they do not pile up on one P while another dials */
    return 0;
}

/* An idle connection that answers what wakes it, and goes idle again. */
static cyg_waitgroup awake;

static void pong(void *arg, int why) {
    cyg_conn *c = arg;
    char b[64];
    ssize_t n = why == 0 ? cyg_read(c, b, sizeof b) : -1;
    if (n > 0 && cyg_write(c, b, (size_t)n) == n && cyg_conn_on_readable(c, pong, c, cyg_now_cached() + PATIENCE) == 0)
        return;
    cyg_close(c);
    cyg_waitgroup_done(&awake);
}

static void accept_all(void *arg) {
    cyg_listener *l = arg;
    for (cyg_conn *c; cyg_accept(l, &c) == 0;) {
        cyg_waitgroup_add(&awake, 1);
        if (cyg_conn_on_readable(c, pong, c, cyg_now_cached() + PATIENCE) < 0) abort();
    }
    cyg_waitgroup_done(&awake);
}

TEST(test_waking_an_idle_connection_allocates_nothing) {
    cyg_listener *l;
    cyg_addr to;
    CHECK(cyg_listen("tcp", "127.0.0.1:0", NULL, &l) == 0);
    cyg_listener_addr(l, &to);
    cyg_waitgroup_add(&awake, 1);
    CHECK(cyg_go(accept_all, cyg_listener_acquire(l)) == 0);
    in_use = CLIENTS; /* of the runtime's, which has pools of its own */
    CHECK(allocates_nothing(count_requests(&to, "ping" END, 4 + strlen(END), "ping", END)));
    cyg_listener_close(l);
    CHECK(cyg_waitgroup_wait_until(&awake, cyg_now() + PATIENCE) == 0);
    cyg_listener_release(l);
    return 0;
}

static int one_proc(void **state) {
    (void)state;
    return cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1});
}

static int two_procs(void **state) {
    (void)state;
    return cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 2});
}

int main(void) {
#ifdef SANITIZED
    puts("skipped: the allocator is not libc's, so its calls are not counted");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_handler_allocates_is_counted),
        cmocka_unit_test(test_served_requests_allocate_nothing),
        cmocka_unit_test(test_forwarded_requests_allocate_nothing),
        cmocka_unit_test(test_waking_an_idle_connection_allocates_nothing),
    };
    int failures = cmocka_run_group_tests_name("one P", tests, one_proc, runtime_down);
    return failures + cmocka_run_group_tests_name("two Ps", tests, two_procs, runtime_down);
}
