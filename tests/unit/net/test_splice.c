/* test_splice.c: bytes that the kernel moves between connections, and from files to connections: exact at all sizes, through
 * wrappers, up to limits and ends; what cannot go this way goes another; pipes come back, or are closed with what was in them.
 */
#include "../io/streams.h"

#include <errno.h>
#include <sys/syscall.h>

/* Nothing went through a buffer; with the kernel's ways forced off: everything did, and it says so. */
static void check_path(const cyg_copy_result *res, cyg_copy_path path) {
    if (no_splice()) {
        CHECK_EQ(res->by[path], 0);
        if (res->bytes > res->by[CYG_COPY_HELD]) CHECK_EQ(res->reason, CYG_COPY_OFF);
        return;
    }
    CHECK_EQ(res->by[CYG_COPY_BUFFER], 0);
    CHECK_EQ(res->reason, CYG_COPY_FAST);
    CHECK_EQ(res->by[path] + res->by[CYG_COPY_HELD], res->bytes);
}

/* ---- peers ---------------------------------------------------------------------------------------------------------------- */

static int done;

/* Writes bytes from `from` to `to` in random pieces and ends its direction; or reads them all, in random pieces, to the end. */
struct peer {
    cyg_conn *c;
    int64_t from, to;
    uint32_t random;
};
static void send_all(void *arg) {
    struct peer *p = arg;
    uint8_t *block = malloc(200000);
    for (int64_t at = p->from; at < p->to;) {
        size_t n = next_random(&p->random) % 200000 + 1;
        if (next_random(&p->random) % 3 == 0) n = n % 50 + 1;
        if ((int64_t)n > p->to - at) n = (size_t)(p->to - at);
        fill_bytes(1, at, block, n);
        CHECK_EQ(cyg_write(p->c, block, n), n);
        at += (int64_t)n;
        if (n % 5 == 0) cyg_yield();
    }
    free(block);
    CHECK_EQ(cyg_close_write(p->c), 0);
    ADD(done, 1);
}
static void receive_all(void *arg) {
    struct peer *p = arg;
    uint8_t *block = malloc(200000);
    int64_t at = p->from;
    for (ssize_t n; (n = cyg_read(p->c, block, next_random(&p->random) % 200000 + 1)) != CYG_EOF; at += n) {
        CHECK(n > 0);
        check_bytes(1, at, block, (size_t)n);
        if (n % 5 == 0) cyg_yield();
    }
    CHECK_EQ(at, p->to);
    free(block);
    ADD(done, 1);
}

/* in.a -> in.b =copy=> out.a -> out.b */
struct chain {
    struct net_pair in, out;
};
static void chain_open(struct chain *c, int kinds) {
    net_pair_of(kinds & 1, &c->in);
    net_pair_of(kinds >> 1, &c->out);
    STORE(done, 0);
}
static void chain_close(struct chain *c) {
    net_close_pair(&c->in);
    net_close_pair(&c->out);
}

/* ---- exact ------------------------------------------------------------------------------------------------------------------ */

RT_TEST(test_bytes_arrive_as_they_were_sent) {
    for (int kinds = 0; kinds < 4; kinds++)
        for (uint32_t seed = 1; seed <= 3; seed++) {
            struct chain c;
            chain_open(&c, kinds);
            int64_t total = seed == 1 ? 1 : (3 << 20) / RT_LESS + (int64_t)seed * 7777;
            struct peer from = {c.in.a, 0, total, seed}, to = {c.out.b, 0, total, seed + 100};
            GO(send_all, &from);
            GO(receive_all, &to);
            cyg_copy_result res;
            CHECK_EQ(cyg_copy(c.out.a, c.in.b, &res), total);
            CHECK_EQ(res.bytes, total);
            check_path(&res, CYG_COPY_SPLICE);
            CHECK_EQ(cyg_close_write(c.out.a), 0);
            WAIT_FOR(LOAD(done) == 2);
            CHECK_EQ(copy_stats().pipes_in_use, 0);
            chain_close(&c);
        }
}

/* Many at once, each there and back. */
static void echo_once(void *arg) {
    cyg_conn *c = arg;
    CHECK(cyg_copy(c, c, NULL) >= 0);
    CHECK_EQ(cyg_close_write(c), 0);
    ADD(done, 1);
}
RT_TEST(test_many_copies_at_once_do_not_mix) {
    enum { PAIRS = 24 };
    struct net_pair p[PAIRS];
    struct peer from[PAIRS], to[PAIRS];
    STORE(done, 0);
    for (int i = 0; i < PAIRS; i++) {
        int64_t base = (int64_t)i << 24, n = (400000 + i) / RT_LESS;
        net_pair_of(i % 2, &p[i]);
        from[i] = (struct peer){p[i].a, base, base + n, (uint32_t)i + 1};
        to[i] = (struct peer){p[i].a, base, base + n, (uint32_t)i + 99};
        GO(echo_once, p[i].b);
        GO(send_all, &from[i]);
        GO(receive_all, &to[i]);
    }
    WAIT_FOR(LOAD(done) == 3 * PAIRS);
    CHECK_EQ(copy_stats().pipes_in_use, 0);
    for (int i = 0; i < PAIRS; i++) net_close_pair(&p[i]);
}

RT_TEST(test_counted_copies_take_no_more_than_they_say) {
    static const int64_t cuts[] = {1, 100, 5000, 65536, 300000};
    struct chain c;
    chain_open(&c, 0);
    int64_t total = 0;
    for (size_t i = 0; i < 5; i++) total += cuts[i];
    struct peer from = {c.in.a, 0, total + 10, 5}, to = {c.out.b, 0, total, 6};
    GO(send_all, &from);
    GO(receive_all, &to);
    for (size_t i = 0; i < 5; i++) {
        cyg_copy_result res;
        CHECK_EQ(cyg_copy_n(c.out.a, c.in.b, cuts[i], &res), cuts[i]);
        check_path(&res, CYG_COPY_SPLICE);
    }
    CHECK_EQ(cyg_close_write(c.out.a), 0);
    WAIT_FOR(LOAD(done) == 2);
    uint8_t rest[11];
    CHECK_EQ(cyg_read_full(c.in.b, rest, 10), 10); /* where the copies left it */
    check_bytes(1, total, rest, 10);
    CHECK_EQ(cyg_copy_n(c.out.a, c.in.b, 5, NULL), CYG_EOF);
    CHECK_EQ(cyg_copy(c.out.a, c.in.b, NULL), 0);
    chain_close(&c);
}

/* ---- through wrappers ---------------------------------------------------------------------------------------------------------- */

RT_TEST(test_held_bytes_then_limit_then_the_kernel) {
    struct chain c;
    chain_open(&c, 0);
    uint8_t held[700], rest[100];
    fill_bytes(1, 0, held, sizeof held);
    struct peer from = {c.in.a, sizeof held, 500100, 7}, to = {c.out.b, 0, 500000, 8};
    GO(send_all, &from);
    GO(receive_all, &to);
    struct wrapper buffered = wrapper_of(c.in.b), limit = wrapper_of(&buffered.s), limit2 = wrapper_of(&limit.s);
    buffered.held = held;
    buffered.nheld = sizeof held;
    limit.limit = 500000;
    limit2.limit = 600000;
    cyg_copy_result res;
    CHECK_EQ(cyg_copy(c.out.a, &limit2.s, &res), 500000);
    check_path(&res, CYG_COPY_SPLICE);
    CHECK_EQ(res.by[CYG_COPY_HELD], sizeof held);
    CHECK_EQ(limit2.limit, 100000);
    CHECK_EQ(cyg_close_write(c.out.a), 0);
    WAIT_FOR(LOAD(done) == 2);
    CHECK_EQ(cyg_read_full(c.in.b, rest, sizeof rest), sizeof rest);
    check_bytes(1, 500000, rest, sizeof rest);
    chain_close(&c);
}

RT_TEST(test_files_and_a_connection_in_a_row) {
    struct chain c;
    chain_open(&c, 0);
    struct file file = file_of(300000, true);
    struct peer from = {c.in.a, 300000, 400000, 9}, to = {c.out.b, 0, 400000, 10};
    GO(send_all, &from);
    GO(receive_all, &to);
    struct wrapper section = wrapper_of(&file.s), row = wrapper_of(&section.s);
    cyg_stream *more[] = {&file.s, c.in.b};
    section.offset = 0;
    section.limit = 200000;
    file.place = 200000; /* the rest is read where it stands */
    row.more = more;
    row.nmore = 2;
    cyg_copy_result res;
    CHECK_EQ(cyg_copy(c.out.a, &row.s, &res), 400000);
    if (!no_splice()) {
        CHECK_EQ(res.by[CYG_COPY_SENDFILE], 300000);
        CHECK_EQ(res.by[CYG_COPY_SPLICE], 100000);
    }
    CHECK_EQ(file.place, 300000);
    CHECK_EQ(cyg_close_write(c.out.a), 0);
    WAIT_FOR(LOAD(done) == 2);
    file_close(&file);
    chain_close(&c);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------ */

RT_TEST(test_parts_of_a_file) {
    for (int round = 0; round < 4; round++) { /* over TCP and Unix; the file's place is the descriptor's, or the stream's */
        struct net_pair p;
        net_pair_of(round % 2, &p);
        STORE(done, 0);
        int64_t size = (5 << 20) / RT_LESS;
        struct file f = file_of(size, round / 2);
        struct peer to = {p.b, 0, size, 11};
        GO(receive_all, &to);
        cyg_copy_result res;
        CHECK_EQ(cyg_copy_n(p.a, &f.s, 1, &res), 1);
        check_path(&res, CYG_COPY_SENDFILE);
        CHECK_EQ(cyg_copy_n(p.a, &f.s, 70000, NULL), 70000);
        CHECK_EQ(cyg_copy(p.a, &f.s, &res), size - 70001);
        check_path(&res, CYG_COPY_SENDFILE);
        CHECK_EQ(cyg_copy(p.a, &f.s, &res), 0); /* at its end */
        CHECK_EQ(f.reads == 0, !no_splice());
        CHECK_EQ(cyg_close_write(p.a), 0);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(round / 2 ? f.place : lseek(f.fd, 0, SEEK_CUR), size);
        file_close(&f);
        net_close_pair(&p);
    }
}

RT_TEST(test_connection_to_file) {
    for (int append = 0; append < 2; append++) { /* the kernel does not splice into a file that is open for appending */
        struct net_pair p;
        net_tcp_pair(&p);
        STORE(done, 0);
        int64_t size = 700000;
        struct file f = file_open(append ? O_APPEND : 0);
        struct peer from = {p.a, 0, size, 12};
        GO(send_all, &from);
        cyg_copy_result res;
        CHECK_EQ(cyg_copy(&f.s, p.b, &res), size);
        if (!append) check_path(&res, CYG_COPY_SPLICE);
        if (append && !no_splice()) {
            CHECK_EQ(res.by[CYG_COPY_SPLICE], 0);
            CHECK_EQ(res.reason, CYG_COPY_REFUSED);
        }
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(copy_stats().pipes_in_use, 0);
        CHECK_EQ(lseek(f.fd, 0, SEEK_SET), 0);
        struct memory check = memory_of(0);
        CHECK_EQ(cyg_copy(&check.s, &f.s, NULL), size);
        file_close(&f);
        net_close_pair(&p);
    }
}

RT_TEST(test_what_the_kernel_does_not_move_goes_through_a_buffer) {
    struct net_pair p;
    net_tcp_pair(&p);
    STORE(done, 0);
    struct memory src = memory_of(100000), dst = memory_of(0);
    struct peer to = {p.b, 0, 200000, 13}, from = {p.b, 0, 50000, 14};
    GO(receive_all, &to);
    GO(send_all, &from);
    cyg_copy_result res;
    CHECK_EQ(cyg_copy(p.a, &src.s, &res), 100000);
    CHECK_EQ(res.reason, CYG_COPY_SOURCE);
    CHECK_EQ(cyg_copy_n(&dst.s, p.a, 50000, &res), 50000);
    CHECK_EQ(res.reason, CYG_COPY_SINK);
    CHECK_EQ(dst.taken, 50000);

    struct file f = file_of(200000, false); /* a stream that is no regular file, though it says so */
    int fd = f.fd;
    f.fd = (int)syscall(SYS_memfd_create, "t", 1u);
    uint8_t block[1000];
    for (int64_t at = 100000; at < 200000; at += 1000) {
        fill_bytes(1, at, block, sizeof block);
        CHECK_EQ(write(f.fd, block, sizeof block), sizeof block);
    }
    CHECK_EQ(lseek(f.fd, 0, SEEK_SET), 0);
    CHECK_EQ(cyg_copy(p.a, &f.s, &res), 100000);
    check_path(&res, CYG_COPY_SENDFILE);
    CHECK_EQ(cyg_close_write(p.a), 0);
    WAIT_FOR(LOAD(done) == 2);
    CHECK_EQ(close(fd), 0);
    file_close(&f);
    net_close_pair(&p);
}

/* ---- pipes ------------------------------------------------------------------------------------------------------------------------- */

struct run {
    struct chain c;
    int64_t copied;
    cyg_copy_result how;
};
static void copy_chain(void *arg) {
    struct run *r = arg;
    r->copied = cyg_copy(r->c.out.a, r->c.in.b, &r->how);
    ADD(done, 1);
}

RT_TEST(test_a_pipe_is_held_only_while_bytes_are_in_it) {
    if (no_splice()) return;
    struct run r;
    char b[10];
    chain_open(&r.c, 0);
    GO(copy_chain, &r);
    net_settle();
    WAIT_FOR(copy_stats().pipes_in_use == 0); /* waits for input; it may be about to find that there is none */
    CHECK_EQ(cyg_write(r.c.in.a, "0123456789", 10), 10);
    CHECK_EQ(cyg_read_full(r.c.out.b, b, 10), 10);
    WAIT_FOR(copy_stats().pipes_in_use == 0); /* and again */
    CHECK_EQ(copy_stats().pipes_open, 1);
    net_fill(r.c.out.a);
    size_t stuck = net_fill(r.c.in.a);
    WAIT_FOR(copy_stats().pipes_in_use == 1); /* waits for output */
    CHECK(stuck > 0);
    net_settle();
    CHECK_EQ(copy_stats().pipes_in_use, 1);
    cyg_copy_trim(); /* not what is in use */
    CHECK_EQ(copy_stats().pipes_open, 1);
    uint64_t dropped = copy_stats().pipes_dropped_total;
    CHECK_EQ(cyg_close(r.c.out.b), 0); /* with unread bytes: a reset */
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(r.copied, -ECONNRESET);
    CHECK(r.how.write_failed);
    CHECK_EQ(copy_stats().pipes_dropped_total, dropped + 1); /* bytes were in it */
    CHECK_EQ(copy_stats().pipes_open, 0);
    CHECK_EQ(cyg_close(r.c.out.a), 0);
    net_close_pair(&r.c.in);
}

RT_TEST(test_no_more_pipes_than_the_limit_and_copies_go_on) {
    if (no_splice()) return;
    for (int limit = -1; limit <= 1; limit += 2) {
        CHECK_EQ(cyg_copy_set_limits(&(cyg_copy_limits){.max_pipes = limit}), 0);
        uint64_t refused = copy_stats().pipes_refused_total;
        struct run stuck;
        struct chain c;
        chain_open(&stuck.c, 0);
        GO(copy_chain, &stuck);
        net_fill(stuck.c.out.a);
        net_fill(stuck.c.in.a);
        if (limit > 0) WAIT_FOR(copy_stats().pipes_in_use == 1);
        net_settle();
        chain_open(&c, 0);
        struct peer from = {c.in.a, 0, 100000, 15}, to = {c.out.b, 0, 100000, 16};
        GO(send_all, &from);
        GO(receive_all, &to);
        cyg_copy_result res;
        CHECK_EQ(cyg_copy(c.out.a, c.in.b, &res), 100000);
        CHECK_EQ(res.by[CYG_COPY_BUFFER], 100000);
        CHECK_EQ(res.reason, limit > 0 ? CYG_COPY_PIPES : CYG_COPY_OFF);
        CHECK_EQ(copy_stats().pipes_refused_total > refused, limit > 0);
        CHECK_EQ(cyg_close_write(c.out.a), 0);
        WAIT_FOR(LOAD(done) == 2);
        chain_close(&c);
        chain_close(&stuck.c);
        WAIT_FOR(LOAD(done) == 3);
    }
    CHECK_EQ(cyg_copy_set_limits(&(cyg_copy_limits){0}), 0);
}

RT_TEST(test_no_descriptor_for_a_pipe_is_no_error) {
    if (no_splice()) return;
    struct chain c;
    chain_open(&c, 0);
    cyg_copy_trim();
    struct rlimit was, now;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    now = was;
    now.rlim_cur = 0;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
    struct peer from = {c.in.a, 0, 100000, 15}, to = {c.out.b, 0, 100000, 16};
    GO(send_all, &from);
    GO(receive_all, &to);
    cyg_copy_result res;
    CHECK_EQ(cyg_copy(c.out.a, c.in.b, &res), 100000);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    CHECK_EQ(res.by[CYG_COPY_BUFFER], 100000);
    CHECK_EQ(res.reason, CYG_COPY_PIPES);
    CHECK_EQ(cyg_close_write(c.out.a), 0);
    WAIT_FOR(LOAD(done) == 2);
    chain_close(&c);
}

RT_TEST(test_idle_pipes_drain) {
    if (no_splice()) return;
    enum { STUCK = 6 };
    struct run r[STUCK];
    CHECK_EQ(cyg_copy_set_limits(&(cyg_copy_limits){.idle_pipes = 4}), 0);
    for (int i = 0; i < STUCK; i++) chain_open(&r[i].c, 3);
    for (int i = 0; i < STUCK; i++) {
        GO(copy_chain, &r[i]);
        net_fill(r[i].c.out.a);
        CHECK_EQ(send(net_fd(r[i].c.in.a), "x", 1, MSG_DONTWAIT), 1);
    }
    WAIT_FOR(copy_stats().pipes_in_use == STUCK);
    char b[65536];
    for (int i = 0; i < STUCK; i++) /* their receivers read: the pipes come back */
        while (recv(net_fd(r[i].c.out.b), b, sizeof b, MSG_DONTWAIT) > 0 ||
               copy_stats().pipes_in_use == (uint64_t)(STUCK - i))
            cyg_yield();
    WAIT_FOR(copy_stats().pipes_in_use == 0);
    CHECK_EQ(copy_stats().pipes_open, 4);
    CHECK_EQ(copy_stats().pipe_bytes, 4 << 20);
    CHECK_EQ(cyg_copy_set_limits(&(cyg_copy_limits){.idle_pipes = 2}), 0);
    CHECK_EQ(copy_stats().pipes_open, 2);
    cyg_copy_trim();
    CHECK_EQ(copy_stats().pipes_open, 0);
    CHECK_EQ(copy_stats().pipe_bytes, 0);
    CHECK_EQ(cyg_copy_set_limits(&(cyg_copy_limits){0}), 0);
    for (int i = 0; i < STUCK; i++) chain_close(&r[i].c);
    WAIT_FOR(LOAD(done) == STUCK);
}

/* ---- an ordinary user ------------------------------------------------------------------------------------------------------------- */

/* A user without rights may have as much room in pipes as 64 full ones have (fs.pipe-user-pages-soft). He has a small one of
 * his own, and more stuck copies than that: 63 full pipes, then four smaller ones, then none; and all bytes arrive. */
enum { MANY = 200 };
static int ordinary_user(void *arg) {
    (void)arg;
    static struct run r[MANY];
    static size_t filled[MANY];
    int own[2];
    CHECK_EQ(pipe2(own, O_CLOEXEC), 0);
    for (int i = 0; i < MANY; i++) {
        chain_open(&r[i].c, 3);
        GO(copy_chain, &r[i]);
        filled[i] = net_fill(r[i].c.out.a);
        CHECK_EQ(cyg_close_write(r[i].c.out.b), 0);
    }
    for (int i = 0; i < MANY; i++) {
        uint8_t b[1000] = {0};
        CHECK_EQ(cyg_write(r[i].c.in.a, b, sizeof b), sizeof b);
        CHECK_EQ(cyg_close_write(r[i].c.in.a), 0);
        WAIT_FOR(copy_stats().pipes_in_use + copy_stats().fallbacks_total[CYG_COPY_PIPES] == (uint64_t)i + 1);
    }
    cyg_copy_stats st = copy_stats();
    CHECK_EQ(st.pipes_in_use, 63 + 4);
    CHECK_EQ(st.pipe_bytes, (64 << 20) - 65536);
    CHECK_EQ(st.pipes_shrunk_total, 4);
    CHECK_EQ(st.buffers_in_use, MANY - 67);
    CHECK_EQ(st.fallbacks_total[CYG_COPY_PIPES], MANY - 67);
    CHECK(st.pipes_refused_total >= MANY - 67);
    STORE(done, 0);
    for (int i = MANY - 1; i >= 0; i--) { /* the small ones come back first */
        if (i == 62) WAIT_FOR(copy_stats().pipes_in_use == 63);
        struct memory sink = memory_of(0);
        sink.seed = UINT32_MAX; /* not looked at */
        CHECK_EQ(cyg_copy_n(&sink.s, r[i].c.out.b, (int64_t)filled[i] + 1000, NULL), (int64_t)filled[i] + 1000);
    }
    WAIT_FOR(LOAD(done) == MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(r[i].copied, 1000);
        chain_close(&r[i].c);
    }
    CHECK_EQ(copy_stats().pipes_open, 16); /* no small one is kept beside full ones */
    CHECK_EQ(copy_stats().pipe_bytes, 16 << 20);
    CHECK_EQ(close(own[0]), 0);
    CHECK_EQ(close(own[1]), 0);
    return 0;
}
static int as_ordinary_user(int argc, char **argv) {
    (void)argc, (void)argv;
    uid_t own = 40000 + (uid_t)getpid() % 20000; /* this test may run twice at once */
    if (setgid(65534) || setuid(own)) return 77;
    FILE *f = fopen("/proc/sys/fs/pipe-user-pages-soft", "r");
    long pages = 0;
    if (!f || fscanf(f, "%ld", &pages) != 1 || pages != 16384 || sysconf(_SC_PAGESIZE) != 4096) return 77;
    fclose(f);
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    CHECK_EQ(cyg_call(ordinary_user, NULL), 0);
    CHECK_EQ(cyg_runtime_stop(), 0);
    return 7;
}
static void test_an_ordinary_users_pipes_shrink_and_copies_go_on(void **state) {
    (void)state;
    static struct rt_result r;
    if (no_splice() || geteuid() != 0) skip(); /* cannot become a user who has no other pipes */
    rt_spawn("as_ordinary_user", "", NULL, &r);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 77) skip();
    CHECK_EXIT(&r, 7);
}

static const struct rt_child kids[] = {{"as_ordinary_user", as_ordinary_user}, {0}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_bytes_arrive_as_they_were_sent),
    cmocka_unit_test(test_many_copies_at_once_do_not_mix),
    cmocka_unit_test(test_counted_copies_take_no_more_than_they_say),
    cmocka_unit_test(test_held_bytes_then_limit_then_the_kernel),
    cmocka_unit_test(test_files_and_a_connection_in_a_row),
    cmocka_unit_test(test_parts_of_a_file),
    cmocka_unit_test(test_connection_to_file),
    cmocka_unit_test(test_what_the_kernel_does_not_move_goes_through_a_buffer),
    cmocka_unit_test(test_a_pipe_is_held_only_while_bytes_are_in_it),
    cmocka_unit_test(test_no_more_pipes_than_the_limit_and_copies_go_on),
    cmocka_unit_test(test_no_descriptor_for_a_pipe_is_no_error),
    cmocka_unit_test(test_idle_pipes_drain),
    cmocka_unit_test(test_an_ordinary_users_pipes_shrink_and_copies_go_on),
};
RT_MAIN(tests, kids)
