/* test_packet_batch.c: many datagrams in one call, and many in one buffer: cut and joined by the kernel, and by us where it cannot.
 */
#include "packet.h"

#include <netinet/in.h>

#include "runtime/sched.h"

static char *room_of(cyg_packet *v, unsigned n, size_t size) {
    char *room = malloc(n * size);
    memset(v, 0, n * sizeof *v);
    for (unsigned i = 0; i < n; i++) v[i] = (cyg_packet){.data = room + i * size, .size = size};
    return room;
}

/* Receives what came, as single datagrams: adds their sizes up, checks their bytes against a running position of the source. */
struct stream {
    size_t bytes, datagrams;
};
static void check_bytes(struct stream *st, const cyg_packet *p, size_t unit) {
    const unsigned char *d = p->data;
    for (size_t i = 0; i < p->n; i++) CHECK_EQ(d[i], (unsigned char)((st->bytes + i) * 7 % 251));
    if (p->segment_bytes) CHECK_EQ(p->segment_bytes, unit);
    st->bytes += p->n;
    st->datagrams += cyg_packet_segments(p, p->n);
}

static void fill(char *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 7 % 251);
}

/* ---- batches -------------------------------------------------------------------------------------------------------------- */

struct sender {
    cyg_conn *c;
    const cyg_packet *v;
    unsigned n, done;
};
static void sends(void *arg) {
    struct sender *x = arg;
    while (x->n) {
        int n = cyg_packet_send_batch(x->c, x->v, x->n); /* a Unix queue holds 10 or so */
        CHECK(n > 0);
        x->v += n;
        x->n -= (unsigned)n;
    }
    STORE(x->done, 1);
}

RT_TEST(test_batch_is_sent_and_received_in_order) {
    static const char *const networks[] = {"udp", "unixgram"};
    for (int k = 0; k < 2; k++) {
        char text[CYG_ADDR_STRLEN];
        cyg_conn *s = server(networks[k], k ? NULL : "127.0.0.1:0", NULL, text), *c = client(networks[k], text);
        enum { N = 70 }; /* more than a system call takes */
        cyg_packet out[N], in[N];
        char bytes[N];
        for (int i = 0; i < N; i++) {
            bytes[i] = (char)i;
            out[i] = (cyg_packet){.data = &bytes[i], .size = i % 5 != 4}; /* some are empty */
        }
        char *room = room_of(in, N, 16);
        struct sender x = {.c = c, .v = out, .n = N};
        if (k == 0)
            sends(&x); /* all of it is in the queue before the first is received */
        else
            GO(sends, &x);
        for (unsigned got = 0; got < N;) {
            int n = cyg_packet_recv_batch(s, in + got, N - got);
            CHECK(n > 0 && n <= CYG_PACKET_BATCH);
            got += (unsigned)n;
        }
        for (int i = 0; i < N; i++) {
            CHECK_EQ(in[i].n, i % 5 != 4);
            CHECK(!in[i].truncated && in[i].segment_bytes == 0);
            if (in[i].n) CHECK_EQ(*(char *)in[i].data, i);
        }
        WAIT_FOR(LOAD(x.done));
        CHECK_EQ(stats_of(s).received_total, N);
        CHECK_EQ(stats_of(c).sent_total, N);
        if (k == 0) {
            CHECK_EQ(stats_of(s).receive_calls_total, 3);
            CHECK_EQ(stats_of(c).send_calls_total, 3);
        }
        CHECK_EQ(cyg_packet_recv_batch(s, in, 0), 0);
        CHECK_EQ(cyg_packet_send_batch(c, out, 0), 0);
        free(room);
        CHECK_EQ(cyg_close(c), 0);
        CHECK_EQ(cyg_close(s), 0);
    }
}

/* To several peers in one call; and what was received goes back as it is, from the address it was sent to. */
RT_TEST(test_packet_info_answers_from_where_it_was_asked) {
    static const struct {
        const char *network, *every, *asked, *format;
    } cases[] = {{"udp4", "0.0.0.0:0", "127.0.0.77", "%s:%u"},
                 {"udp", "[::]:0", "127.0.0.78", "%s:%u"},
                 {"udp6", "[::]:0", "::1", "[%s]:%u"}};
    for (int k = 0; k < 3; k++) {
        char text[CYG_ADDR_STRLEN], ip[CYG_ADDR_STRLEN], b[8];
        cyg_addr a;
        cyg_conn *s = server(cases[k].network, cases[k].every, &(cyg_packet_opts){.packet_info = true}, text);
        CHECK_EQ(cyg_conn_local_addr(s, &a), 0);
        snprintf(text, sizeof text, cases[k].format, cases[k].asked, a.port);
        cyg_conn *c = client("udp", text); /* connected, so an answer from elsewhere would be dropped */
        CHECK_EQ(cyg_write(c, "ask", 3), 3);
        cyg_packet p = {.data = b, .size = sizeof b};
        CHECK_EQ(cyg_packet_recv_batch(s, &p, 1), 1);
        cyg_addr_format_ip(&p.local, ip, sizeof ip);
        CHECK(strcmp(ip, cases[k].asked) == 0);
        CHECK(p.ifindex > 0);
        p.size = p.n;
        CHECK_EQ(cyg_packet_send_batch(s, &p, 1), 1);
        CHECK_EQ(cyg_read(c, b, sizeof b), 3);
        CHECK_EQ(cyg_close(c), 0);
        CHECK_EQ(cyg_close(s), 0);
    }
}

RT_TEST(test_error_behind_some_tells_how_many_went) {
    char text[CYG_ADDR_STRLEN], b[8];
    static char big[70000];
    cyg_conn *s = server("udp", "127.0.0.1:0", NULL, text), *c = client("udp", text);
    cyg_packet v[3] = {{.data = big, .size = 1}, {.data = big, .size = sizeof big}, {.data = big, .size = 1}};
    CHECK_EQ(cyg_packet_send_batch(c, v, 3), 1);
    CHECK_EQ(cyg_packet_send_batch(c, v + 1, 2), -EMSGSIZE);
    CHECK_EQ(cyg_packet_send_batch(c, v + 2, 1), 1);
    for (int i = 0; i < 2; i++) CHECK_EQ(cyg_read(s, b, sizeof b), 1);
    cyg_packet unix_peer = {.data = big, .size = 1};
    CHECK_EQ(cyg_addr_parse("unixgram", "@x", &unix_peer.peer), 0);
    CHECK_EQ(cyg_packet_send_batch(c, &unix_peer, 1), CYG_EINVAL);
    cyg_packet many = {.data = big, .size = CYG_PACKET_SEGMENTS_MAX + 1, .segment_bytes = 1};
    CHECK_EQ(cyg_packet_send_batch(c, &many, 1), CYG_EINVAL);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_close(s), 0);
}

/* ---- one buffer, many datagrams ---------------------------------------------------------------------------------------------- */

static bool kernel_has(int option) {
    int v = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof v;
    bool has = getsockopt(fd, IPPROTO_UDP, option, &v, &n) == 0;
    close(fd);
    return has;
}
#define SEGMENT 103 /* UDP_SEGMENT, UDP_GRO: linux/udp.h, which does not go with netinet's */
#define GRO 104

/* A buffer of 25 datagrams of 1000 bytes and one of 400, cut on the way out by the kernel or by us, joined on the way in or not. */
static void send_segments(const char *debug) {
    char *old = getenv("CYGNET_DEBUG") ? strdup(getenv("CYGNET_DEBUG")) : NULL;
    if (debug) setenv("CYGNET_DEBUG", debug, 1);
    bool gso = !cygrt_debug("nogso") && kernel_has(SEGMENT), gro = !cygrt_debug("nogro") && kernel_has(GRO);
    char text[CYG_ADDR_STRLEN];
    cyg_conn *s = server("udp", "127.0.0.1:0", &(cyg_packet_opts){.gro = true, .recv_buffer_bytes = 1 << 20}, text),
             *c = client("udp", text);
    if (old)
        setenv("CYGNET_DEBUG", old, 1);
    else
        unsetenv("CYGNET_DEBUG");
    free(old);
    static char big[25400];
    fill(big, sizeof big);
    cyg_packet out = {.data = big, .size = sizeof big, .segment_bytes = 1000};
    CHECK_EQ(cyg_packet_segments(&out, out.size), 26);
    CHECK_EQ(cyg_packet_send_batch(c, &out, 1), 1);
    CHECK_EQ(stats_of(c).sent_total, 26);
    CHECK_EQ(stats_of(c).gso_total, gso ? 26 : 0);
    CHECK_EQ(stats_of(c).gso_cut_total, gso ? 0 : 26);
    CHECK_EQ(stats_of(c).send_calls_total, 1);
    struct stream st = {0};
    cyg_packet in[4];
    char *room = room_of(in, 4, CYG_PACKET_MAX);
    while (st.datagrams < 26) {
        int n = cyg_packet_recv_batch(s, in, 4);
        CHECK(n > 0);
        for (int i = 0; i < n; i++) check_bytes(&st, &in[i], 1000);
    }
    CHECK_EQ(st.bytes, sizeof big);
    CHECK_EQ(stats_of(s).received_total, 26);
    if (gro && gso) CHECK(stats_of(s).joined_total > 0); /* what was cut in this kernel stays whole on its loopback */
    if (!gro) CHECK_EQ(stats_of(s).joined_total, 0);
    if (gro) { /* who asks for one would not know where it ends */
        CHECK_EQ(cyg_packet_recv(s, room, 10, NULL), CYG_ESTATE);
        CHECK_EQ(cyg_read(s, room, 10), CYG_ESTATE);
        CHECK_EQ(cyg_packet_set_opts(s, &(cyg_packet_opts){.gro = false}), 0);
    }
    CHECK_EQ(cyg_write(c, "x", 1), 1);
    CHECK_EQ(cyg_packet_recv(s, room, 10, NULL), 1);
    free(room);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_close(s), 0);
}
RT_TEST(test_segments_as_the_kernel_can) { send_segments(NULL); }
RT_TEST(test_segments_cut_and_joined_by_nobody_but_us) { send_segments("nogso,nogro"); }
RT_TEST(test_segments_cut_by_us_joined_by_the_kernel) { send_segments("nogso"); }

/* Segments that the kernel will not cut are cut by us: here those of a socket without checksums. */
RT_TEST(test_segments_the_kernel_refuses_are_cut_by_us) {
    char text[CYG_ADDR_STRLEN];
    cyg_conn *s = server("udp", "127.0.0.1:0", NULL, text), *c = client("udp", text);
    size_t size = 60000, unit = 20000;
    int on = 1;
    CHECK_EQ(setsockopt(net_fd(c), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    char *big = malloc(size), *room = malloc(unit);
    fill(big, size);
    cyg_packet v[2] = {{.data = big, .size = size, .segment_bytes = unit}, {.data = big, .size = 100, .segment_bytes = 60}};
    CHECK_EQ(cyg_packet_send_batch(c, v, 2), 2);
    CHECK_EQ(stats_of(c).sent_total, 5);
    CHECK_EQ(stats_of(c).gso_cut_total, 5);
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_read(s, room, unit), unit);
    CHECK_EQ(cyg_read(s, room, unit), 60);
    CHECK_EQ(cyg_read(s, room, unit), 40);
    free(big);
    free(room);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_close(s), 0);
}

static uint64_t read_all(cyg_conn *c) {
    char b[1000];
    uint64_t n = 0;
    ssize_t r;
    CHECK_EQ(cyg_set_read_deadline(c, cyg_now() + CYG_MILLISECOND), 0);
    while ((r = cyg_read(c, b, sizeof b)) >= 0) n++;
    CHECK_EQ(r, CYG_ETIMEDOUT);
    return n;
}

/* What does not fit the receive buffer is dropped by the kernel, and counted. On a busy CPU ksoftirqd delivers: what was sent arrives,
 * or is dropped, some time after the call. */
RT_TEST(test_drops_are_counted) {
    char text[CYG_ADDR_STRLEN], b[1000] = {0};
    cyg_conn *s = server("udp", "127.0.0.1:0", &(cyg_packet_opts){.recv_buffer_bytes = 2048}, text),
             *c = client("udp", text);
    for (int i = 0; i < 100; i++) CHECK_EQ(cyg_write(c, b, sizeof b), sizeof b);
    uint64_t got = 0;
    WAIT_FOR((got += read_all(s)) + stats_of(s).dropped_total == 100);
    CHECK(got > 0 && got < 100);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_close(s), 0);
}

static const struct rt_child kids[] = {{NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_batch_is_sent_and_received_in_order),
    cmocka_unit_test(test_packet_info_answers_from_where_it_was_asked),
    cmocka_unit_test(test_error_behind_some_tells_how_many_went),
    cmocka_unit_test(test_segments_as_the_kernel_can),
    cmocka_unit_test(test_segments_cut_and_joined_by_nobody_but_us),
    cmocka_unit_test(test_segments_cut_by_us_joined_by_the_kernel),
    cmocka_unit_test(test_segments_the_kernel_refuses_are_cut_by_us),
    cmocka_unit_test(test_drops_are_counted),
};
RT_MAIN(tests, kids)
