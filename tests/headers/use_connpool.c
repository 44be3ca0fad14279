/* connpool.h in use: ten questions over one connection that says hello once. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/connpool.h>
#include <cygnet/runtime.h>

static void answer(void *arg) {
    cyg_auto_conn cyg_conn *c = (cyg_conn *)arg;
    char line[6];
    while (cyg_read_full(c, line, sizeof line) == (ssize_t)sizeof line)
        if (cyg_write(c, line, sizeof line) < 0) break;
}

static void serve(void *arg) {
    cyg_conn *c;
    while (cyg_accept((cyg_listener *)arg, &c) == 0)
        if (cyg_go(answer, c) < 0) (void)cyg_close(c);
}

static int ask(cyg_conn *c, const char *question) {
    char got[6];
    cyg_set_deadline(c, cyg_now() + 10 * CYG_SECOND);
    if (cyg_write(c, question, sizeof got) < 0) return CYG_EPROTO;
    return cyg_read_full(c, got, sizeof got) == (ssize_t)sizeof got && memcmp(got, question, sizeof got) == 0 ? 0 : CYG_EPROTO;
}

struct session { /* what the program keeps with each connection */
    int asked;
};

static int say_hello(void *arg, cyg_pooled_conn *pc, cyg_time deadline) {
    (void)arg, (void)deadline;
    return ask(pc->conn, "hello\n");
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_auto_listener cyg_listener *l = NULL;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0 || (err = cyg_go(serve, l)) < 0) return cyg_fail("listen", err);
    cyg_addr addr;
    char text[CYG_ADDR_STRLEN];
    cyg_listener_addr(l, &addr);
    cyg_addr_format(&addr, text, sizeof text);

    cyg_connpool_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.max_open = 4;
    opts.max_life = CYG_HOUR;
    opts.user_bytes = sizeof(struct session);
    opts.open = say_hello;
    cyg_connpool *pool;
    if ((err = cyg_connpool_new("tcp", text, &opts, &pool)) < 0) return cyg_fail("pool", err);
    for (int i = 0; i < 10 && err == 0; i++) {
        cyg_pooled_conn *pc;
        if ((err = cyg_connpool_get(pool, cyg_now() + CYG_SECOND, &pc)) < 0) return cyg_fail("get", err);
        err = ask(pc->conn, "what?\n");
        ((struct session *)pc->user)->asked++;
        if (err == 0)
            cyg_connpool_put(pc);
        else
            cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    }
    cyg_connpool_stats st;
    int left = cyg_connpool_drain(pool, cyg_now() + CYG_SECOND);
    cyg_connpool_get_stats(pool, &st);
    cyg_connpool_close(pool);
    return err == 0 && left == 0 && st.gets_total == 10 && st.reuses_total >= 8 && st.open == 0 ? 0 : 1;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
