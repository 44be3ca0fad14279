/* Requests share connections, and the first of them has to dial. The dial takes until the others have come, and with the pool until
 * they have been served: a connection that was in use comes back meanwhile.
 *
 * lock: connections on a list behind one mutex, which is held while the list is looked at, and so while somebody dials. The profile of
 * waits for locks names the place.
 * pool: a cyg_connpool of two, whose common path takes no lock.
 *
 * usage: cygnet lock|pool REQUESTS */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long requests;
static bool pooled;
static cyg_addr at;
static _Atomic long arrived, served, meanwhile; /* meanwhile: served while the first one dialled */
static cyg_waitgroup all;

static struct {
    cyg_mutex lock;
    cyg_conn **idle; /* guarded by lock, as is n */
    long n;
} list;
static cyg_connpool *pool;

/* ---- a slow dial ------------------------------------------------------------------------------------------------------ */

static _Atomic bool slow; /* the next dial is */

static int dial(void *arg, cyg_time deadline, cyg_conn **out) {
    (void)arg, (void)deadline;
    int err = cyg_dial_addr(&at, NULL, out);
    if (err < 0 || !atomic_exchange(&slow, false)) return err;
    while (atomic_load(&arrived) < requests || (pooled && atomic_load(&served) < requests - 1)) cyg_yield();
    atomic_store(&meanwhile, atomic_load(&served));
    return 0;
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

static int get_locked(cyg_conn **c) {
    int err = 0;
    cyg_mutex_lock(&list.lock);
    if (list.n > 0)
        *c = list.idle[--list.n];
    else
        err = dial(NULL, 0, c);
    cyg_mutex_unlock(&list.lock);
    return err;
}

static void put_locked(cyg_conn *c) {
    cyg_mutex_lock(&list.lock);
    list.idle[list.n++] = c;
    cyg_mutex_unlock(&list.lock);
}

static void request_locked(void *arg) {
    (void)arg;
    cyg_conn *c;
    atomic_fetch_add(&arrived, 1);
    if (get_locked(&c) == 0) put_locked(c);
    atomic_fetch_add(&served, 1);
    cyg_waitgroup_done(&all);
}

static void request_pooled(void *arg) {
    (void)arg;
    cyg_pooled_conn *pc;
    atomic_fetch_add(&arrived, 1);
    if (cyg_connpool_get(pool, 0, &pc) == 0) cyg_connpool_put(pc);
    atomic_fetch_add(&served, 1);
    cyg_waitgroup_done(&all);
}

/* ---- the run --------------------------------------------------------------------------------------------------------- */

/* Whether the profile of waits for locks names request_locked, or what it calls. */
static bool named(void) {
    char text[65536];
    FILE *f = tmpfile();
    if (!f || cyg_profile(fileno(f), CYG_PROFILE_CONTENTION, CYG_PROFILE_TEXT) < 0) return false;
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return strstr(text, "_locked") != NULL;
}

static int give_back(void *conn) { /* the connection that was in use */
    if (pooled)
        cyg_connpool_put((cyg_pooled_conn *)conn);
    else
        put_locked(conn);
    return 0;
}
static void give_back_later(void *conn) {
    (void)give_back(conn);
    cyg_waitgroup_done(&all);
}

/* The first request finds nothing and dials; then the connection in use comes back, and the other requests come. */
static int begin(void *in_use) {
    cyg_waitgroup_add(&all, requests + 1);
    int err = 0;
    for (long i = 0; err == 0 && i < requests; i++) {
        err = cyg_go(pooled ? request_pooled : request_locked, NULL);
        if (err < 0 || i > 0) continue;
        while (atomic_load(&slow)) cyg_yield();
        err = cyg_go(give_back_later, in_use);
    }
    return err;
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s lock|pool REQUESTS\n", argv[0]), 2;
    requests = atol(argv[2]);
    pooled = strcmp(argv[1], "pool") == 0;
    cyg_listener *l;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    cyg_listener_addr(l, &at);
    list.idle = calloc((size_t)requests + 1, sizeof *list.idle);
    cyg_profile_contention_rate(1); /* every wait; otherwise one of 100 */
    err = pooled ? cyg_connpool_new(NULL, NULL, &(cyg_connpool_opts){.max_open = 2, .dial = dial, .name = "two"}, &pool)
                 : 0;
    if (err < 0) return cyg_fail("pool", err);

    cyg_pooled_conn *pc = NULL;
    cyg_conn *c = NULL;
    err = pooled ? cyg_connpool_get(pool, 0, &pc) : dial(NULL, 0, &c);
    if (err < 0) return cyg_fail("dial", err);
    atomic_store(&slow, true);
    if ((err = begin(pooled ? (void *)pc : (void *)c)) < 0) return cyg_fail("cyg_go", err);
    (void)cyg_waitgroup_wait(&all);
    printf("requests: %ld\n", requests);
    printf("served while one dialled: %ld\n", atomic_load(&meanwhile));
    printf("behind the lock meanwhile: %ld\n", requests - 1 - atomic_load(&meanwhile));
    if (!pooled) printf("named in the profile: %s\n", named() ? "yes" : "no");
    if (pooled) cyg_connpool_close(pool);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
