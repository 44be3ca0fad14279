/* test_through.c: copies through wrappers that change no bytes take the kernel's way all the same, with what the wrapper
 * holds first; and what the results say of it. The others are copied, without allocating anything. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "../net/net.h"
#include "script.h"

enum { SIZE = 300000, HEAD = 1000 };

static char bytes[SIZE]; /* what files and peers give */
static void make_bytes(void) {
    for (uint32_t i = 0, x = 1; i < SIZE; i++) bytes[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
}

static cyg_file *file_of_bytes(void) {
    cyg_file *f;
    CHECK_EQ(cyg_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &f), 0);
    CHECK_EQ(cyg_write(f, bytes, SIZE), SIZE);
    CHECK_EQ(cyg_file_seek(f, 0, SEEK_SET), 0);
    return f;
}

/* ---- what arrives
 * ----------------------------------------------------------------------------------------------------------- */

struct arrival {
    cyg_conn *from;
    char *p; /* room for 2 * SIZE */
    size_t n;
    int done;
};
static void receive(void *arg) {
    struct arrival *a = arg;
    ssize_t r;
    while ((r = cyg_read(a->from, a->p + a->n, 2 * SIZE - a->n)) > 0) a->n += (size_t)r;
    CHECK_EQ(r, CYG_EOF);
    STORE(a->done, 1);
}

static void send_bytes(void *arg) {
    CHECK_EQ(cyg_write(arg, bytes, SIZE), SIZE);
    CHECK_EQ(cyg_close_write(arg), 0);
}

/* Copies src to a connection and checks that exactly `want` arrives. max < 0: until it ends. */
static void copied_is(cyg_stream *src, int64_t max, const char *want, size_t nwant, cyg_copy_result *how) {
    struct net_pair p;
    net_tcp_pair(&p);
    struct arrival a = {.from = p.b, .p = malloc(2 * SIZE)};
    CHECK(a.p);
    GO(receive, &a);
    int64_t n = max < 0 ? cyg_copy(p.a, src, how) : cyg_copy_n(p.a, src, max, how);
    CHECK_EQ(n, nwant);
    CHECK_EQ(how->bytes, nwant);
    CHECK_EQ(cyg_close_write(p.a), 0);
    WAIT_FOR(LOAD(a.done));
    CHECK_EQ(a.n, nwant);
    CHECK(memcmp(a.p, want, nwant) == 0);
    free(a.p);
    net_close_pair(&p);
}

/* All of it went this way, but for what was held or in memory. */
#define ALL_BY(how, way, held_, stream_)                                                 \
    do {                                                                                 \
        CHECK_EQ((how).by[CYG_COPY_HELD], (held_));                                      \
        CHECK_EQ((how).by[CYG_COPY_STREAM], (stream_));                                  \
        CHECK_EQ((how).by[(way)], (how).bytes - (held_) - (stream_));                    \
        CHECK_EQ((how).reason, (way) == CYG_COPY_BUFFER ? (how).reason : CYG_COPY_FAST); \
    } while (0)

/* ---- files to sockets
 * ------------------------------------------------------------------------------------------------------- */

RT_TEST(test_a_file_goes_by_sendfile) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    copied_is(f, -1, bytes, SIZE, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    CHECK_EQ(cyg_file_seek(f, 0, SEEK_CUR), SIZE); /* the position has moved on, as by reads */
    CHECK_EQ(cyg_close(f), 0);
}

RT_TEST(test_a_limited_file_goes_by_sendfile_and_ends_at_the_limit) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_limit l, inner;
    cyg_limit_init(&inner, f, 250000);
    cyg_limit_init(&l, &inner.stream, 200001);
    copied_is(&l.stream, 100000, bytes, 100000, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    CHECK_EQ(l.left, 100001);
    CHECK_EQ(inner.left, 150000);
    copied_is(&l.stream, -1, bytes + 100000, 100001, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    CHECK_EQ(l.left, 0);
    CHECK_EQ(cyg_file_seek(f, 0, SEEK_CUR), 200001);
    cyg_limit_init(&l, f, SIZE); /* more than there is */
    copied_is(&l.stream, -1, bytes + 200001, SIZE - 200001, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    CHECK_EQ(cyg_close(f), 0);
}

RT_TEST(test_sections_go_by_sendfile_without_moving_the_file) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_section a, b;
    cyg_section_init(&a, f, 100, 5000);
    cyg_section_init(&b, f, SIZE - 50, 1000);
    copied_is(&b.stream, -1, bytes + SIZE - 50, 50, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    copied_is(&a.stream, 2000, bytes + 100, 2000, &how);
    copied_is(&a.stream, -1, bytes + 2100, 3000, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    CHECK_EQ(cyg_file_seek(f, 0, SEEK_CUR), 0);
    CHECK_EQ(cyg_close(f), 0);
}

/* Whether reads tell what is in memory: else the file system does not know the flag. */
static bool knows_nowait(cyg_file *f) {
    char b;
    return preadv2(cyg_descriptor(f), &(struct iovec){&b, 1}, 1, 0, RWF_NOWAIT) == 1;
}

/* A read that may not wait would begin to bring it in. */
static bool in_memory(cyg_file *f) {
    unsigned char there;
    void *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, cyg_descriptor(f), 0);
    CHECK(page != MAP_FAILED);
    CHECK_EQ(mincore(page, 1, &there), 0);
    munmap(page, 1);
    return there & 1;
}

RT_TEST(test_a_file_that_is_not_in_memory_is_sent_without_a_p) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_section all;
    bool says = knows_nowait(f);
    CHECK_EQ(cyg_file_sync(f), 0);
    CHECK_EQ(posix_fadvise(cyg_descriptor(f), 0, 0, POSIX_FADV_DONTNEED), 0);
    bool cold = says && !in_memory(f); /* some are always in memory */
    for (int round = 0; round < 2; round++) {
        uint64_t before = rt_stats().blocking_total;
        cyg_section_init(&all, f, 0, SIZE);
        copied_is(&all.stream, -1, bytes, SIZE, &how);
        ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
        uint64_t away = rt_stats().blocking_total - before;
        if (round == 0 && cold) CHECK(away > 0);
        if (round == 1 && says) CHECK_EQ(away, 0); /* the first has brought it in */
    }
    CHECK_EQ(cyg_close(f), 0);
}

RT_TEST(test_several_go_each_its_own_way) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_membuf head;
    cyg_section part;
    cyg_limit limit;
    cyg_multi_reader all;
    char *want = malloc(SIZE);
    CHECK(want);
    cyg_membuf_init_read(&head, bytes, HEAD);
    cyg_section_init(&part, f, 70000, 9000);
    cyg_limit_init(&limit, f, 40000);
    cyg_stream *parts[] = {&head.stream, &part.stream, cyg_discard(), &limit.stream};
    cyg_multi_reader_init(&all, parts, 4);
    memcpy(want, bytes, HEAD);
    memcpy(want + HEAD, bytes + 70000, 9000);
    memcpy(want + HEAD + 9000, bytes, 40000);
    copied_is(&all.stream, HEAD + 500, want, HEAD + 500, &how); /* ends within the second, which goes on from there */
    CHECK_EQ(how.by[CYG_COPY_STREAM], HEAD);
    CHECK_EQ(how.by[CYG_COPY_SENDFILE], 500);
    copied_is(&all.stream, -1, want + HEAD + 500, 48500, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    free(want);
    CHECK_EQ(cyg_close(f), 0);
}

RT_TEST(test_a_buffered_file_gives_what_it_holds_then_goes_by_sendfile) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_bufreader r;
    cyg_str head;
    cyg_bufreader_init(&r, f, &(cyg_buf_opts){.min_bytes = 4096});
    CHECK_EQ(cyg_bufreader_peek(&r, HEAD, &head), 0);
    CHECK_EQ(cyg_bufreader_discard(&r, HEAD), HEAD);
    copied_is(&r.stream, -1, bytes + HEAD, SIZE - HEAD, &how);
    ALL_BY(how, CYG_COPY_SENDFILE, 4096 - HEAD, 0);
    CHECK_EQ(r.stats.bytes_total, SIZE);
    CHECK(!r.buf);
    cyg_bufreader_free(&r);
    CHECK_EQ(cyg_close(f), 0);
}

/* ---- sockets to sockets
 * ----------------------------------------------------------------------------------------------------- */

RT_TEST(test_a_buffered_reader_with_leftovers_goes_by_splice) {
    for (int unix_ = 0; unix_ < 2; unix_++) {
        struct net_pair p;
        cyg_copy_result how;
        cyg_bufreader r;
        cyg_str head;
        net_pair_of(unix_, &p);
        GO(send_bytes, p.a);
        cyg_bufreader_init(&r, p.b, &(cyg_buf_opts){.min_bytes = 2048});
        CHECK_EQ(cyg_bufreader_peek(&r, HEAD + 1, &head), 0); /* so there is at least a byte behind it */
        CHECK_EQ(cyg_bufreader_discard(&r, HEAD), HEAD);
        size_t held = cyg_bufreader_data(&r).n;
        CHECK(held >= 1);
        copied_is(&r.stream, -1, bytes + HEAD, SIZE - HEAD, &how);
        ALL_BY(how, CYG_COPY_SPLICE, (int64_t)held, 0);
        cyg_bufreader_free(&r);
        net_close_pair(&p);
    }
}

/* As a server does it: a head by lines, then a body of known length, then the next message. */
RT_TEST(test_a_limit_on_a_buffered_reader_leaves_what_is_behind) {
    struct net_pair p;
    cyg_copy_result how;
    cyg_bufreader r;
    cyg_limit body;
    cyg_str line;
    net_tcp_pair(&p);
    CHECK_EQ(cyg_write(p.a, "length 3000\n", 12), 12);
    CHECK_EQ(cyg_write(p.a, bytes, 3000), 3000);
    CHECK_EQ(cyg_write(p.a, "next\n", 5), 5);
    cyg_bufreader_init(&r, p.b, NULL);
    CHECK_EQ(cyg_bufreader_line(&r, &line), 0);
    size_t held = cyg_bufreader_data(&r).n;
    CHECK(held < 3000);
    cyg_limit_init(&body, &r.stream, 3000);
    copied_is(&body.stream, -1, bytes, 3000, &how);
    ALL_BY(how, CYG_COPY_SPLICE, (int64_t)held, 0);
    CHECK_EQ(cyg_bufreader_line(&r, &line), 0);
    CHECK(cyg_str_eq(line, CYG_STR("next")));
    /* And one that lies in the buffer as a whole. */
    CHECK_EQ(cyg_write(p.a, "abcdefgh", 8), 8);
    CHECK_EQ(cyg_bufreader_peek(&r, 8, &line), 0);
    cyg_limit_init(&body, &r.stream, 3);
    copied_is(&body.stream, -1, "abc", 3, &how);
    CHECK_EQ(how.by[CYG_COPY_HELD], 3);
    CHECK_EQ(cyg_bufreader_byte(&r), 'd');
    cyg_bufreader_free(&r);
    net_close_pair(&p);
}

RT_TEST(test_the_receiver_may_be_wrapped_too) {
    struct net_pair p;
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_bufwriter w;
    cyg_limit around; /* limits reading; writes pass */
    net_tcp_pair(&p);
    struct arrival a = {.from = p.b, .p = malloc(2 * SIZE)};
    CHECK(a.p);
    GO(receive, &a);
    cyg_limit_init(&around, p.a, 0);
    cyg_bufwriter_init(&w, &around.stream, NULL);
    CHECK_EQ(cyg_bufwriter_write(&w, "head", 4), 4);
    CHECK_EQ(cyg_copy(&w.stream, f, &how), SIZE);
    ALL_BY(how, CYG_COPY_SENDFILE, 0, 0);
    CHECK_EQ(w.stats.bytes_total, SIZE + 4);
    CHECK_EQ(cyg_close_write(&w.stream), 0);
    WAIT_FOR(LOAD(a.done));
    CHECK_EQ(a.n, SIZE + 4);
    CHECK(memcmp(a.p, "head", 4) == 0 && memcmp(a.p + 4, bytes, SIZE) == 0);
    cyg_bufwriter_free(&w);
    free(a.p);
    CHECK_EQ(cyg_close(f), 0);
    net_close_pair(&p);
}

/* ---- what has to be copied
 * --------------------------------------------------------------------------------------------------- */

RT_TEST(test_a_tee_sees_every_byte_and_says_so) {
    cyg_file *f = file_of_bytes();
    cyg_copy_result how;
    cyg_membuf seen;
    cyg_tee t;
    cyg_membuf_init(&seen, SIZE);
    cyg_tee_init(&t, f, &seen.stream);
    copied_is(&t.stream, -1, bytes, SIZE, &how);
    CHECK_EQ(how.path, CYG_COPY_BUFFER);
    CHECK_EQ(how.reason, CYG_COPY_SOURCE);
    CHECK_EQ(how.by[CYG_COPY_BUFFER], SIZE);
    CHECK(cyg_membuf_data(&seen).n == SIZE && memcmp(cyg_membuf_data(&seen).p, bytes, SIZE) == 0);
    cyg_membuf_free(&seen);
    CHECK_EQ(cyg_close(f), 0);
}

RT_TEST(test_a_file_to_a_file_through_wrappers) {
    cyg_file *from = file_of_bytes(), *to;
    char *b = malloc(SIZE);
    cyg_section part;
    cyg_copy_result how;
    CHECK(b);
    CHECK_EQ(cyg_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &to), 0);
    cyg_section_init(&part, from, 1000, 200000);
    CHECK_EQ(cyg_copy(to, &part.stream, &how), 200000);
    CHECK_EQ(cyg_file_size(to), 200000);
    size_t n = 0;
    for (ssize_t r; (r = cyg_file_pread(to, b + n, SIZE - n, (int64_t)n)) > 0; n += (size_t)r) {}
    CHECK_EQ(n, 200000);
    CHECK(memcmp(b, bytes + 1000, 200000) == 0);
    free(b);
    CHECK_EQ(cyg_close(from), 0);
    CHECK_EQ(cyg_close(to), 0);
}

/* ---- a wrapper that changes bytes: few reads, no allocation ----------------------------------------------------------- */

struct turner {
    cyg_stream s;
    cyg_stream *under;
    int reads;
};
static ssize_t turner_read(cyg_stream *s, void *p, size_t n) {
    struct turner *t = (struct turner *)s;
    ssize_t r = cyg_read(t->under, p, n);
    t->reads++;
    for (ssize_t i = 0; i < r; i++) ((char *)p)[i] ^= 1;
    return r;
}
static const cyg_stream_ops turner_ops = {.kind = "turner", .read = turner_read};

#if !defined(RT_ASAN) && !defined(RT_TSAN)
/* Every allocation of the program comes by here, the library's too: it is linked statically. Those of one goroutine count: the
 * runtime may start a thread meanwhile. */
static long allocations;
static uint64_t counted; /* its number */
static void count(void) {
    if (LOAD(counted) && cyg_goid() == LOAD(counted)) ADD(allocations, 1);
}
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
void *malloc(size_t n) {
    count();
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
    count();
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
    count();
    return __libc_realloc(p, n);
}
void *aligned_alloc(size_t align, size_t n) {
    count();
    return __libc_memalign(align, n);
}
#else
static long allocations; /* the sanitizer has the allocator */
static uint64_t counted;
#endif

RT_TEST(test_a_mebibyte_through_a_wrapper_that_changes_bytes) {
    cyg_file *f;
    CHECK_EQ(cyg_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &f), 0);
    for (int i = 0; i < 16; i++) CHECK_EQ(cyg_write(f, bytes, 65536), 65536);
    for (int round = 0; round < 3; round++) {
        struct turner t = {.s = {&turner_ops}, .under = f};
        cyg_copy_result how;
        CHECK_EQ(cyg_file_seek(f, 0, SEEK_SET), 0);
        STORE(counted, cyg_goid());
        long before = LOAD(allocations);
        CHECK_EQ(cyg_copy(cyg_discard(), &t.s, &how), 1 << 20);
        long made = LOAD(allocations) - before;
        STORE(counted, 0);
        CHECK_EQ(how.reason, CYG_COPY_SOURCE);
        CHECK(t.reads <= 8);
        if (round > 0) CHECK_EQ(made, 0); /* the first one may fill the pools */
        if (round == 2) print_message("%d reads, %ld allocations\n", t.reads, made);
    }
    CHECK_EQ(cyg_close(f), 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    make_bytes();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_goes_by_sendfile),
        cmocka_unit_test(test_a_limited_file_goes_by_sendfile_and_ends_at_the_limit),
        cmocka_unit_test(test_sections_go_by_sendfile_without_moving_the_file),
        cmocka_unit_test(test_a_file_that_is_not_in_memory_is_sent_without_a_p),
        cmocka_unit_test(test_several_go_each_its_own_way),
        cmocka_unit_test(test_a_buffered_file_gives_what_it_holds_then_goes_by_sendfile),
        cmocka_unit_test(test_a_buffered_reader_with_leftovers_goes_by_splice),
        cmocka_unit_test(test_a_limit_on_a_buffered_reader_leaves_what_is_behind),
        cmocka_unit_test(test_the_receiver_may_be_wrapped_too),
        cmocka_unit_test(test_a_tee_sees_every_byte_and_says_so),
        cmocka_unit_test(test_a_file_to_a_file_through_wrappers),
        cmocka_unit_test(test_a_mebibyte_through_a_wrapper_that_changes_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
