/* A relay between clients and a service that answers when it has seen the end of the question. A client says all it will, ends its
 * side, and reads. "forget" copies both ways and does not pass the end on, "pass" does, and gives the other side a deadline from then
 * on; "silent" is the same in front of a service that never answers.
 *
 * usage: cygnet forget|pass|silent CLIENTS */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool pass_ends, silent;
static cyg_waitgroup questions_over, relays_over, clients_over;
static int answers, timed_out;
static cyg_addr front, back;

/* ---- the relay ---------------------------------------------------------------------------------------------------------- */

struct relay {
    cyg_conn *client, *upstream;
    cyg_waitgroup asked;
};

static int64_t pipe_through(cyg_conn *to, cyg_conn *from) {
    int64_t n = cyg_copy(to, from, NULL);
    if (!pass_ends || n < 0) return n;
    (void)cyg_close_write(to);
    /* One side is done. The other may take its time, but not for ever. */
    (void)cyg_set_read_deadline(to, cyg_now() + (silent ? CYG_SECOND : CYG_MINUTE));
    return n;
}

static void ask(void *arg) {
    struct relay *r = arg;
    (void)pipe_through(r->upstream, r->client);
    cyg_waitgroup_done(&questions_over);
    cyg_waitgroup_done(&r->asked);
}

static void relay(void *client) {
    cyg_auto_conn cyg_conn *from = client, *to = NULL;
    struct relay r = {.client = from};
    if (cyg_dial_addr(&back, NULL, &to) < 0) return;
    r.upstream = to;
    cyg_waitgroup_add(&r.asked, 1);
    if (cyg_go(ask, &r) < 0) return;
    if (pipe_through(from, to) == CYG_ETIMEDOUT) __atomic_add_fetch(&timed_out, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_wait(&r.asked);
    cyg_waitgroup_done(&relays_over);
}

/* ---- service and clients ---------------------------------------------------------------------------------------------- */

static void serve(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char buf[256];
    size_t question = 0;
    ssize_t n;
    while ((n = cyg_read(c, buf, sizeof buf)) > 0) question += (size_t)n;
    if (silent) {
        cyg_waitgroup_wait(&relays_over);
        return;
    }
    int len = snprintf(buf, sizeof buf, "%zu bytes\n", question);
    (void)cyg_write(c, buf, (size_t)len);
}

static void client(void *unused) {
    (void)unused;
    char buf[64];
    cyg_conn *c; /* kept until the end */
    if (cyg_dial_addr(&front, NULL, &c) < 0 || cyg_write(c, "a question\n", 11) < 0) return;
    (void)cyg_close_write(c);
    if (cyg_read(c, buf, sizeof buf) > 0) __atomic_add_fetch(&answers, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_done(&clients_over);
}

struct accepting {
    cyg_listener *l;
    void (*fn)(void *);
};
static void accept_all(void *arg) {
    const struct accepting *a = arg;
    for (cyg_conn *c; cyg_accept(a->l, &c) == 0;)
        if (cyg_go(a->fn, c) < 0) cyg_close(c);
}
static int listen_for(struct accepting *a, cyg_addr *at) {
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &a->l);
    if (err == 0) cyg_listener_addr(a->l, at);
    return err == 0 ? cyg_go(accept_all, a) : err;
}

/* ---- what the kernel says ------------------------------------------------------------------------------------------------ */

/* The first socket of the report that the peer has ended. */
static void tell_one(void) {
    static char text[65536];
    int fd = memfd_create("report", 0);
    if (fd < 0 || cyg_netstat_report(fd) < 0) return;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    char *line = strstr(text, "  close_wait for ");
    if (line) fprintf(stderr, "%.*s\n", (int)strcspn(line, "\n"), line);
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s forget|pass|silent CLIENTS\n", argv[0]), 2;
    static struct accepting relays = {.fn = relay}, services = {.fn = serve};
    int n = atoi(argv[2]), err;
    silent = strcmp(argv[1], "silent") == 0;
    pass_ends = silent || strcmp(argv[1], "pass") == 0;
    if ((err = listen_for(&services, &back)) < 0 || (err = listen_for(&relays, &front)) < 0)
        return cyg_fail("listen", err);
    cyg_waitgroup_add(&questions_over, n);
    cyg_waitgroup_add(&relays_over, n);
    cyg_waitgroup_add(&clients_over, n);
    for (int i = 0; i < n; i++)
        if ((err = cyg_go(client, NULL)) < 0) return cyg_fail("cyg_go", err);
    cyg_waitgroup_wait(&questions_over); /* every question has been copied to its end */
    if (pass_ends) {
        cyg_waitgroup_wait(&clients_over);
        cyg_waitgroup_wait(&relays_over); /* their connections close next */
    }
    cyg_netstat st;
    uint64_t want = pass_ends ? 0 : (uint64_t)n;
    while ((err = cyg_netstat_look(NULL, &st)) == 0 && st.open[CYG_TCP_CLOSE_WAIT] != want)
        (void)cyg_sleep(CYG_MILLISECOND);
    if (err < 0) return cyg_fail("netstat", err);
    printf("questions asked: %d\n", n);
    printf("answers: %d\n", __atomic_load_n(&answers, __ATOMIC_RELAXED));
    printf("in CLOSE_WAIT: %llu\n", (unsigned long long)st.open[CYG_TCP_CLOSE_WAIT]);
    printf("ended by deadline: %d\n", timed_out);
    if (!pass_ends) tell_one();
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
