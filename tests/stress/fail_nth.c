/* fail_nth.c: every system call and every allocation of the runtime fails once, in turn. A child process runs a scenario that uses
 * all of the runtime; in the n-th run of a kind the n-th call of that kind fails, until a run makes fewer calls than that. What
 * failed must say so with its error (or abort with a message, where runtime.h says that small fixed allocations do), the same call
 * must succeed when it is made again, nothing may hang, and nothing may be left behind: goroutines, timers, descriptors, threads
 * and, under AddressSanitizer, memory.
 *
 *     fail_nth [KIND [N]]     one kind, one run of it
 */
#include "../unit/net/net.h"
#include "fail_wrap.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PATIENCE 40 /* seconds that a run may take */
#define MAX_RUNS 400
enum { DONE = 0, DONE_AND_HIT = 42, WRONG = 3 };

/* ---- what may come of a failure ---------------------------------------------------------------------------------------------- */

static int injected; /* the errno, positive */

/* The failure itself, or what a peer sees of it. */
static bool follows(long r) {
    if (!fail_hit()) return false;
    return r == -injected || r == CYG_ENOMEM || r == CYG_EOF || r == CYG_EPROTO || r == -ECONNRESET || r == -EPIPE;
}

__attribute__((noreturn)) static void wrong(int line, const char *what, long r) {
    fprintf(stderr, "fail_nth.c:%d: %s gave %ld (%s), %s\n", line, what, r, cyg_strerror((int)r),
            fail_hit() ? "which does not follow from the failure" : "though nothing had failed yet");
    if (cyg_procs()) cyg_dump(2);
    _exit(WRONG);
}

/* Once more after the failure, and then it works. */
#define AGAIN(call)                             \
    do {                                        \
        long r_ = (call);                       \
        if (r_ < 0 && follows(r_)) r_ = (call); \
        if (r_ < 0) wrong(__LINE__, #call, r_); \
    } while (0)

/* ---- the scenario ------------------------------------------------------------------------------------------------------------- */

static cyg_waitgroup all;
static int ran;

static void step(void *arg) {
    (void)arg;
    cyg_yield();
    ADD(ran, 1);
    cyg_waitgroup_done(&all);
}

static void goroutines(void) {
    static const size_t sizes[] = {0, 16u << 10, 64u << 10, 1u << 20, 8u << 20};
    int n = sizeof sizes / sizeof *sizes;
    STORE(ran, 0);
    cyg_waitgroup_add(&all, n + 300);
    for (int i = 0; i < n; i++) AGAIN(cyg_go_with(&(cyg_go_opts){.stack_size = sizes[i]}, step, NULL));
    for (int i = 0; i < 300; i++) AGAIN(cyg_go(step, NULL)); /* more than a queue or a cache of stacks holds */
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    CHECK_EQ(LOAD(ran), n + 300);
}

static void timers(void) {
    cyg_timer *t[70], *soon;
    STORE(ran, 0);
    cyg_waitgroup_add(&all, 1);
    for (int i = 0; i < 70; i++) AGAIN(cyg_after_func(CYG_HOUR, step, NULL, &t[i]));
    AGAIN(cyg_after_func(0, step, NULL, &soon));
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    cyg_timer_release(soon);
    for (int i = 0; i < 70; i++) {
        CHECK(cyg_timer_stop(t[i]));
        cyg_timer_release(t[i]);
    }
}

static void under_context(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    CHECK_EQ(cyg_sleep(CYG_HOUR), CYG_ETIMEDOUT);
    cyg_ctx_leave(&s);
    cyg_waitgroup_done(&all);
}

static void contexts(void) {
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    cyg_waitgroup_add(&all, 1);
    AGAIN(cyg_go(under_context, ctx));
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
}

static struct {
    cyg_mutex m;
    cyg_cond c;
    int turn;
} pp;

static void turns(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < 20; i++) {
        cyg_mutex_lock(&pp.m);
        while (pp.turn != me) CHECK_EQ(cyg_cond_wait(&pp.c, &pp.m), 0);
        pp.turn = !me;
        cyg_cond_broadcast(&pp.c);
        cyg_mutex_unlock(&pp.m);
    }
    cyg_waitgroup_done(&all);
}

static void locks(void) {
    cyg_waitgroup_add(&all, 2);
    for (intptr_t i = 0; i < 2; i++) AGAIN(cyg_go(turns, (void *)i));
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
}

/* ---- connections --------------------------------------------------------------------------------------------------------------- */

struct server {
    cyg_listener *l;
    const char *network;
    char address[CYG_ADDR_STRLEN];
};

static void serve(void *arg) {
    struct server *s = arg;
    for (;;) {
        cyg_conn *c;
        int err = cyg_accept(s->l, &c);
        if (err == CYG_ECLOSED) break;
        if (err < 0) {
            if (!follows(err)) wrong(__LINE__, "cyg_accept", err);
            continue;
        }
        char b[4096];
        ssize_t r;
        while ((r = cyg_read(c, b, sizeof b)) > 0 && (r = cyg_write(c, b, (size_t)r)) > 0) continue;
        if (r != CYG_EOF && !follows(r)) wrong(__LINE__, "the server's stream", r);
        (void)cyg_close(c);
    }
    cyg_listener_release(s->l);
    cyg_waitgroup_done(&all);
}

/* The first error of a whole exchange. */
static long ask(struct server *s) {
    static char out[3][20000], in[60000];
    cyg_conn *c;
    long r = cyg_dial(s->network, s->address, &(cyg_dial_opts){.timeout = RT_DEADLINE}, &c);
    if (r < 0) return r;
    for (int i = 0; i < 3; i++) memset(out[i], 'a' + i, sizeof out[i]);
    struct iovec v[2] = {{out[0], 7}, {out[0] + 7, sizeof out[0] - 7}};
    r = cyg_set_read_deadline(c, cyg_now() + RT_DEADLINE);
    for (int i = 0; i < 3 && r >= 0; i++) {
        r = i ? cyg_write(c, out[i], sizeof out[i]) : cyg_writev(c, v, 2);
        if (r >= 0) r = cyg_read_full(c, in + i * sizeof *out, sizeof *out);
    }
    if (r >= 0) r = cyg_close_write(c);
    if (r >= 0 && (r = cyg_read(c, in, 1)) == CYG_EOF) r = 0;
    if (r >= 0) CHECK(in[0] == 'a' && in[20000] == 'b' && in[59999] == 'c');
    (void)cyg_close(c);
    return r;
}

/* An exchange over a pooled connection, which is given back when it went well. */
static long ask_pooled(cyg_connpool *p) {
    cyg_pooled_conn *pc;
    char b[4];
    long r = cyg_connpool_get(p, cyg_now() + RT_DEADLINE, &pc);
    if (r < 0) return r;
    r = cyg_write(pc->conn, "four", 4);
    if (r >= 0) r = cyg_read_full(pc->conn, b, 4); /* exact: the pool looks whether there is more */
    if (r >= 0) CHECK(memcmp(b, "four", 4) == 0);
    if (r >= 0)
        cyg_connpool_put(pc);
    else
        cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    return r;
}

static void pooled(struct server *s) {
    cyg_connpool *p = NULL;
    AGAIN(cyg_connpool_new(s->network, s->address, &(cyg_connpool_opts){.max_open = 1, .user_bytes = 100}, &p));
    for (int i = 0; i < 3; i++) AGAIN(ask_pooled(p));
    CHECK_EQ(cyg_connpool_drain(p, cyg_now() + RT_DEADLINE), 0);
    cyg_connpool_close(p);
}

static void echo(const char *network, const char *address) {
    struct server s = {.network = network};
    cyg_addr a;
    AGAIN(cyg_listen(network, address, NULL, &s.l));
    cyg_listener_addr(s.l, &a);
    cyg_addr_format(&a, s.address, sizeof s.address);
    cyg_waitgroup_add(&all, 1);
    cyg_listener_acquire(s.l); /* the server's */
    AGAIN(cyg_go(serve, &s));
    AGAIN(ask(&s));
    pooled(&s);
    CHECK_EQ(cyg_listener_close(s.l), 0);
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------- */

/* The first error of: opening both ends, a datagram each way, a batch that is cut, and one received. */
static long datagrams(const char *network, const char *address, const char *local) {
    cyg_conn *s, *c;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN], b[64];
    long r = cyg_listen_packet(network, address, &(cyg_packet_opts){.packet_info = true}, &s);
    if (r < 0) return r;
    if ((r = cyg_conn_local_addr(s, &a)) == 0) {
        cyg_addr_format(&a, text, sizeof text);
        r = cyg_dial(network, text, &(cyg_dial_opts){.local = local}, &c);
    }
    if (r < 0) {
        (void)cyg_close(s);
        return r;
    }
    bool udp = a.family != CYG_AF_UNIX;
    cyg_packet out = {.data = b, .size = 8, .segment_bytes = udp ? 3 : 0},
               in[2] = {{.data = b, .size = 32}, {.data = b + 32, .size = 32}};
    r = cyg_set_deadline(s, cyg_now() + RT_DEADLINE);
    if (r >= 0) r = cyg_write(c, "ask", 3);
    if (r >= 0) r = cyg_packet_recv(s, b, sizeof b, &a);
    if (r >= 0) r = cyg_packet_send(s, "answer", 6, &a);
    if (r >= 0) r = cyg_read(c, b, sizeof b);
    if (r >= 0) r = cyg_packet_send_batch(c, &out, 1);
    if (r >= 0) r = cyg_packet_recv_batch(s, in, 2);
    (void)cyg_close(c);
    (void)cyg_close(s);
    return r;
}

/* The same for a pipe, and for descriptors passed over a seqpacket socket. */
static long pass_descriptors(void) {
    cyg_listener *l;
    struct net_pair p;
    char b[4];
    int got[1];
    unsigned n = 0;
    const char *name = net_name("fds");
    long r = cyg_listen("unixpacket", name, NULL, &l);
    if (r < 0) return r;
    if ((r = cyg_dial("unixpacket", name, NULL, &p.a)) == 0 && (r = cyg_accept(l, &p.b)) < 0) (void)cyg_close(p.a);
    CHECK_EQ(cyg_listener_close(l), 0);
    if (r < 0) return r;
    r = cyg_conn_send_fds(p.a, "fd", 2, (int[]){2}, 1);
    if (r >= 0) r = cyg_conn_recv_fds(p.b, b, sizeof b, got, 1, &n);
    if (n) close(got[0]);
    if (r >= 0) r = cyg_write(p.b, "message", 7);
    if (r >= 0 && (r = cyg_read(p.a, b, sizeof b)) == -EMSGSIZE) r = 0;
    net_close_pair(&p);
    return r;
}

static long exchange_in_pipe(void) {
    struct net_pair p;
    char b[4];
    long r = cyg_conn_pipe(&p.a, &p.b);
    if (r < 0) return r;
    r = cyg_write(p.a, "pipe", 4);
    if (r >= 0) r = cyg_read_full(p.b, b, 4);
    net_close_pair(&p);
    return r;
}

static void messages(void) {
    AGAIN(datagrams("udp", "127.0.0.1:0", NULL));
    AGAIN(datagrams("unixgram", net_name("server"), net_name("client")));
    AGAIN(pass_descriptors());
    AGAIN(exchange_in_pipe());
}

static void readable(void *arg, int why) {
    CHECK_EQ(why, 0);
    (void)arg;
    cyg_waitgroup_done(&all);
}

static long conn_pair(struct net_pair *p) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    long r = cyg_conn_from_fd(fds[0], &p->a);
    if (r < 0) {
        close(fds[1]);
        return r;
    }
    r = cyg_conn_from_fd(fds[1], &p->b);
    if (r < 0) (void)cyg_close(p->a);
    return r;
}

static void records(void) {
    struct net_pair p;
    AGAIN(conn_pair(&p));
    cyg_waitgroup_add(&all, 1);
    CHECK_EQ(cyg_conn_on_readable(p.a, readable, NULL, 0), 0);
    AGAIN(cyg_write(p.b, "x", 1));
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    net_close_pair(&p);
}

/* ---- copies ------------------------------------------------------------------------------------------------------------------------ */

#define MUCH 100000 /* a socket's buffer has room for it */

static char sent[MUCH], heard[MUCH];

/* What the kernel will not do goes another way, and what was interrupted goes on: a copy fails of neither. */
static long of_copy(long r) {
    if (r < 0 && (injected == EINTR || injected == EINVAL)) wrong(__LINE__, "a copy", r);
    return r;
}

/* All of it, as it was, and then the end: or an error. */
static long hear_out(cyg_conn *c, size_t n) {
    char more;
    long r = cyg_read_full(c, heard, n);
    if (r >= 0 && (r = cyg_read(c, &more, 1)) == CYG_EOF) r = 0;
    if (r == 0) CHECK(memcmp(heard, sent, n) == 0);
    return r;
}

struct relayed {
    struct net_pair client, server; /* b: the relay's ends */
    long r;
    cyg_waitgroup over;
};

static void run_relay(void *arg) {
    struct relayed *x = arg;
    cyg_relay_opts opts = {.half_closed_timeout = 5 * CYG_SECOND};
    cyg_relay_result res;
    x->r = cyg_relay(x->client.b, x->server.b, &opts, &res);
    CHECK_EQ(res.err, x->r);                                   /* also when it could not begin */
    if (x->r == CYG_ETIMEDOUT && fail_hit()) x->r = -injected; /* of the half-closed: an end could not be passed on */
    if (x->r < 0) {                                            /* it may not have begun */
        (void)cyg_abort(x->client.b);
        (void)cyg_abort(x->server.b);
    }
    (void)cyg_close(x->client.b);
    (void)cyg_close(x->server.b);
    cyg_waitgroup_done(&x->over);
}

static long question_and_answer(struct relayed *x) {
    long r = cyg_write(x->client.a, sent, MUCH);
    if (r >= 0) r = cyg_close_write(x->client.a);
    if (r >= 0) r = hear_out(x->server.a, MUCH);
    if (r >= 0) r = cyg_write(x->server.a, sent, MUCH / 2);
    if (r >= 0) r = cyg_close_write(x->server.a);
    if (r >= 0) r = hear_out(x->client.a, MUCH / 2);
    return r;
}

static long relayed(void) {
    struct relayed x = {.r = 0};
    long r = conn_pair(&x.client);
    if (r < 0) return r;
    if ((r = conn_pair(&x.server)) < 0) {
        net_close_pair(&x.client);
        return r;
    }
    cyg_waitgroup_add(&x.over, 1);
    if ((r = cyg_go(run_relay, &x)) == 0) {
        r = question_and_answer(&x);
        if (r < 0) {
            (void)cyg_abort(x.client.a);
            (void)cyg_abort(x.server.a);
        }
        CHECK_EQ(cyg_waitgroup_wait(&x.over), 0);
        if (x.r == 0)
            CHECK(r != CYG_EOF && r != CYG_EPROTO); /* it does not say that all went well, and something is missing */
        if (x.r < 0) r = x.r;
    } else {
        (void)cyg_close(x.client.b);
        (void)cyg_close(x.server.b);
    }
    (void)cyg_close(x.client.a);
    (void)cyg_close(x.server.a);
    return of_copy(r);
}

static long from_file(const char *path) {
    struct net_pair p;
    cyg_file *f;
    long r = cyg_file_open(path, O_RDONLY, 0, &f);
    if (r < 0) return r;
    if ((r = conn_pair(&p)) == 0) {
        r = cyg_copy(p.a, f, NULL);
        if (r >= 0) CHECK_EQ(r, MUCH);
        if (r >= 0) r = cyg_close_write(p.a);
        if (r >= 0) r = hear_out(p.b, MUCH);
        (void)cyg_close(p.a);
        (void)cyg_close(p.b);
    }
    (void)cyg_close(f);
    return of_copy(r);
}

static void copies(void) {
    cyg_copy_stats st;
    char path[64];
    for (size_t i = 0; i < MUCH; i++) sent[i] = (char)(i * 7 + i / 251);
    AGAIN(relayed());
    int fd = memfd_create("copied", MFD_CLOEXEC);
    CHECK_EQ(pwrite(fd, sent, MUCH, 0), MUCH);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    AGAIN(from_file(path));
    close(fd);
    cyg_copy_get_stats(&st);
    CHECK_EQ(st.pipes_in_use + st.buffers_in_use + st.relays, 0);
    cyg_copy_trim();
    cyg_copy_get_stats(&st);
    CHECK_EQ(st.pipes_open + st.buffers_idle, 0);
}

/* ---- descriptors, threads ------------------------------------------------------------------------------------------------------ */

static int pair[2];

static void wait_both(void *arg) {
    (void)arg;
    AGAIN(cyg_fd_wait(pair[0], CYG_READABLE | CYG_WRITABLE, cyg_now() + RT_DEADLINE));
    cyg_waitgroup_done(&all);
}

static void descriptors(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    cyg_waitgroup_add(&all, 1);
    AGAIN(cyg_go(wait_both, NULL));
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    AGAIN(write(pair[1], "x", 1) == 1 ? 0 : -errno);
    AGAIN(cyg_fd_wait(pair[0], CYG_READABLE, cyg_now() + RT_DEADLINE));
    close(pair[0]);
    close(pair[1]);
}

static int nap(void *arg) {
    (void)arg;
    return poll(NULL, 0, 2);
}

static void blocks(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_blocking(nap, NULL), 0);
    cyg_waitgroup_done(&all);
}

static void pinned(void *arg) {
    (void)arg;
    pid_t tid = gettid();
    for (int i = 0; i < 5; i++) {
        cyg_yield();
        CHECK_EQ(gettid(), tid);
    }
    CHECK_EQ(cyg_blocking(nap, NULL), 0);
    CHECK_EQ(cyg_sleep(CYG_MICROSECOND), 0);
    CHECK_EQ(gettid(), tid);
    cyg_waitgroup_done(&all); /* and takes its thread with it */
}

/* Keeps its thread until a P has been taken from one that did: how soon that is, is the machine's affair. */
static void hostage(void *arg) {
    do poll(NULL, 0, 25);
    while (rt_stats().retakes_blocked_total == *(uint64_t *)arg);
    cyg_waitgroup_done(&all);
}

static void threads(void) {
    int n = (int)cyg_procs();
    uint64_t taken = rt_stats().retakes_blocked_total;
    cyg_waitgroup_add(&all, 4 + 2 + n);
    for (int i = 0; i < 4; i++) AGAIN(cyg_go(blocks, NULL));
    for (int i = 0; i < 2; i++) AGAIN(cyg_go_with(&(cyg_go_opts){.pinned = true}, pinned, NULL));
    for (int i = 0; i < n; i++) AGAIN(cyg_go(hostage, &taken)); /* all Ps are held, and this goroutine wants one */
    WAIT_FOR(rt_stats().retakes_blocked_total > taken);
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
}

static void dump_and_signal(void) {
    int fd = memfd_create("dump", MFD_CLOEXEC);
    AGAIN(cyg_dump(fd));
    close(fd);
    raise(SIGUSR1);
    AGAIN(cyg_signal_wait(CYG_SIGNAL(SIGUSR2), cyg_now() + 1) == CYG_ETIMEDOUT ? 0 : -injected);
    raise(SIGUSR2);
    AGAIN(cyg_signal_wait(CYG_SIGNAL(SIGUSR2), cyg_now() + RT_DEADLINE));
}

static int scenario(void *arg) {
    (void)arg;
    goroutines();
    timers();
    contexts();
    locks();
    echo("tcp", "127.0.0.1:0");
    char path[64];
    snprintf(path, sizeof path, "/tmp/fail_nth.%d", (int)getpid());
    echo("unix", path);
    messages();
    records();
    copies();
    descriptors();
    threads();
    dump_and_signal();
    WAIT_FOR(rt_stats().goroutines == 1);
    WAIT_FOR(rt_stats().start_records == 0);
    WAIT_FOR(rt_stats().timers == 0);
    return 0;
}

/* ---- a run: in a child ---------------------------------------------------------------------------------------------------------- */

/* Not by the letter of signal safety: the process ends here. */
static void hangs(int sig) {
    (void)sig;
    static const char text[] = "fail_nth: it hangs\n";
    (void)!write(2, text, sizeof text - 1);
    if (cyg_procs()) cyg_dump(2);
    _exit(WRONG);
}

static int run(enum fail_kind kind, unsigned n, int err) {
    signal(SIGUSR1, SIG_IGN);
    signal(SIGALRM, hangs);
    alarm(PATIENCE);
    bool filtered = kind == FAIL_RECV || kind == FAIL_SEND;
    if (filtered && !fail_filter_install()) return DONE;
    unsigned fds = rt_fds();
    injected = err;
    fail_arm(kind, n, err);
    bool count_cpus = kind == FAIL_AFFINITY || kind == FAIL_FOPEN;
    if (count_cpus) unsetenv("CYGNET_MAXPROCS");
    AGAIN(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = count_cpus ? 0 : 2}));
    AGAIN(cyg_call(scenario, NULL));
    CHECK_EQ(cyg_runtime_stop(), 0);
    bool hit = fail_hit();
    fail_disarm();
    CHECK_EQ(rt_fds(), fds + 1); /* that of cyg_signal_wait stays */
#ifndef RT_TSAN
    WAIT_FOR(rt_threads() == 1);
#endif
    return hit ? DONE_AND_HIT : DONE;
}

/* ---- all runs: in the parent ------------------------------------------------------------------------------------------------------ */

#define MEMORY 1  /* may also end with a message and SIGABRT */
#define ENDLESS 2 /* waits: as many calls as the clock allows */
#define ALWAYS 4  /* is called in every build: at least one failure must have happened */
#define ALIKE 8   /* one for each stack: beyond the first ones not every one is tried, unless FAIL_EVERY is set */

static const struct row {
    const char *name;
    enum fail_kind kind;
    int err, flags;
    const char *debug; /* CYGNET_DEBUG */
} rows[] = {
    {"malloc", FAIL_MALLOC, ENOMEM, MEMORY, ""},
    {"calloc", FAIL_CALLOC, ENOMEM, MEMORY | ALWAYS, ""},
    {"realloc", FAIL_REALLOC, ENOMEM, MEMORY, ""},
    {"aligned_alloc", FAIL_ALIGNED, ENOMEM, MEMORY, ""},
    {"mmap", FAIL_MMAP, ENOMEM, ALWAYS, ""},
    {"munmap", FAIL_MUNMAP, ENOMEM, 0, ""},
    {"mprotect", FAIL_MPROTECT, ENOMEM, ALIKE | ALWAYS, "noguard"},
    {"madvise-guard", FAIL_GUARD, ENOMEM, ALIKE, ""},
    {"madvise", FAIL_MADVISE, EAGAIN, ALWAYS, ""},
    {"mincore", FAIL_MINCORE, EAGAIN, 0, ""},
    {"epoll_create1", FAIL_EPOLL_CREATE, EMFILE, ALWAYS, ""},
    {"epoll_ctl-memory", FAIL_EPOLL_ADD, ENOMEM, ALWAYS, ""},
    {"epoll_ctl-watches", FAIL_EPOLL_ADD, ENOSPC, ALWAYS, ""},
    {"epoll_wait", FAIL_EPOLL_WAIT, EINTR, ENDLESS | ALWAYS, "nopwait2"},
    {"epoll_pwait2-old", FAIL_PWAIT2, ENOSYS, ENDLESS | ALWAYS, ""},
    {"epoll_pwait2-interrupted", FAIL_PWAIT2, EINTR, ENDLESS | ALWAYS, ""},
    {"eventfd", FAIL_EVENTFD, EMFILE, ALWAYS, ""},
    {"pipe2", FAIL_PIPE2, EMFILE, ALWAYS, ""},
    {"pthread_create", FAIL_THREAD, EAGAIN, ALWAYS, ""},
    {"pthread_atfork", FAIL_ATFORK, ENOMEM, ALWAYS, ""},
    {"pthread_getattr_np", FAIL_GETATTR, ENOMEM, ALWAYS, ""},
    {"sigaltstack", FAIL_SIGALTSTACK, ENOMEM, ALWAYS, ""},
    {"sigaction", FAIL_SIGACTION, EINVAL, ALWAYS, ""},
    {"sched_getaffinity", FAIL_AFFINITY, ENOMEM, ALWAYS, ""},
    {"fopen", FAIL_FOPEN, EMFILE, ALWAYS, ""},
    {"open", FAIL_OPEN, EMFILE, ALWAYS, ""},
    {"read", FAIL_READ, EINTR, ALWAYS, ""},
    {"write-interrupted", FAIL_WRITE, EINTR, ALWAYS, ""},
    {"membarrier-refused", FAIL_MEMBARRIER, EPERM, 0, ""},
    {"membarrier-memory", FAIL_MEMBARRIER, ENOMEM, 0, ""},
    {"futex", FAIL_FUTEX, EINTR, ENDLESS | ALWAYS, ""},
    {"socket", FAIL_SOCKET, EMFILE, ALWAYS, ""},
    {"bind", FAIL_BIND, EADDRINUSE, ALWAYS, ""},
    {"listen", FAIL_LISTEN, EADDRINUSE, ALWAYS, ""},
    {"accept4-files", FAIL_ACCEPT, EMFILE, ALWAYS, ""},
    {"accept4-aborted", FAIL_ACCEPT, ECONNABORTED, ALWAYS, ""},
    {"connect", FAIL_CONNECT, ECONNREFUSED, ALWAYS, ""},
    {"getsockopt", FAIL_GETSOCKOPT, ENOBUFS, ALWAYS, ""},
    {"setsockopt", FAIL_SETSOCKOPT, ENOMEM, ALWAYS, ""},
    {"getsockname", FAIL_GETSOCKNAME, ENOBUFS, ALWAYS, ""},
    {"getpeername", FAIL_GETPEERNAME, ENOBUFS, ALWAYS, ""},
    {"fcntl", FAIL_FCNTL, EBADF, ALWAYS, ""},
    {"shutdown", FAIL_SHUTDOWN, ENOTCONN, ALWAYS, ""},
    {"recv", FAIL_RECV, ECONNRESET, 0, ""},
    {"recv-interrupted", FAIL_RECV, EINTR, 0, ""},
    {"send", FAIL_SEND, EPIPE, 0, ""},
    {"send-interrupted", FAIL_SEND, EINTR, 0, ""},
    {"recvmsg", FAIL_RECVMSG, ECONNRESET, ALWAYS, ""},
    {"recvmsg-interrupted", FAIL_RECVMSG, EINTR, ALWAYS, ""},
    {"sendmsg", FAIL_SENDMSG, EPIPE, ALWAYS, ""},
    {"sendmsg-interrupted", FAIL_SENDMSG, EINTR, ALWAYS, ""},
    {"recvmmsg", FAIL_RECVMMSG, ENOMEM, ALWAYS, ""},
    {"recvmmsg-interrupted", FAIL_RECVMMSG, EINTR, ALWAYS, ""},
    {"sendmmsg-device", FAIL_SENDMMSG, EIO, ALWAYS, ""}, /* it cannot cut: we do */
    {"sendmmsg-interrupted", FAIL_SENDMMSG, EINTR, ALWAYS, ""},
    {"splice", FAIL_SPLICE, ENOMEM, ALWAYS, ""},
    {"splice-refused", FAIL_SPLICE, EINVAL, ALWAYS, ""},
    {"splice-interrupted", FAIL_SPLICE, EINTR, ALWAYS, ""},
    {"sendfile", FAIL_SENDFILE, EIO, ALWAYS, ""},
    {"sendfile-refused", FAIL_SENDFILE, EINVAL, ALWAYS, ""},
    {"sendfile-interrupted", FAIL_SENDFILE, EINTR, ALWAYS, ""},
};
#define ENDLESS_RUNS 25

static bool told(const char *err) {
    const char *fatal = strstr(err, "cygnet: fatal: ");
    return fatal && strstr(fatal, "out of memory");
}

/* Runs the n-th of a row. Returns whether the failure happened; ends the program when it was not borne. */
static bool try(const struct row *row, unsigned n, unsigned *aborts) {
    static struct rt_result r;
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        setenv("CYGNET_DEBUG", row->debug, 1);
        exit(run(row->kind, n, row->err));
    }
    close(fds[1]);
    ssize_t got;
    for (r.n = 0; r.n < sizeof r.err - 1 && (got = read(fds[0], r.err + r.n, sizeof r.err - 1 - r.n)) > 0;)
        r.n += (size_t)got;
    r.err[r.n] = 0;
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &r.status, 0), pid);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == DONE) return false;
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == DONE_AND_HIT) return true;
    if (WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT && (row->flags & MEMORY) && told(r.err)) {
        ++*aborts;
        return true;
    }
    fprintf(stderr, "%s: the %u. call failed with %s: the program ended with status %#x:\n%s\n", row->name, n,
            strerror(row->err), (unsigned)r.status, r.err);
    exit(1);
}

int main(int argc, char **argv) {
    bool any = false, every = getenv("FAIL_EVERY") != NULL;
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        if (argc > 1 && strcmp(argv[1], row->name) != 0) continue;
        any = true;
        unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 1, hits = 0, aborts = 0;
        unsigned most = argc > 2 ? n : row->flags & ENDLESS ? ENDLESS_RUNS : MAX_RUNS;
        for (; n <= most && try(row, n, &aborts); hits++) n += (row->flags & ALIKE) && !every ? 1 + n / 8 : 1;
        printf("%-26s %4u failed once each, %u of them aborted with a message\n", row->name, hits, aborts);
        if (hits == 0 && (row->flags & ALWAYS) && argc < 3) {
            fprintf(stderr, "%s was never called: nothing was shown\n", row->name);
            return 1;
        }
    }
    return any ? 0 : 2;
}
