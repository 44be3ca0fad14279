/* test_snapshot.c: snapshots: readers see whole values and never an older one after a newer, values go when their last reader has
 * left, wherever that is. Row 43.
 */
#include "../rt.h"

#include "sync/snapshot_slot.h"

struct config {
    int version; /* the same in all of them; -1 when destroyed */
    int copies[15];
};
static cyg_snapshot *current, *other;
static int destroyed, done, stop, published;

static void destroy(void *p) {
    struct config *c = p;
    CHECK(c->version > 0); /* once */
    c->version = -1;
    ADD(destroyed, 1);
    free(c);
}
static const cyg_snapshot_opts opts = {.destroy = destroy, .name = "config"};

static struct config *make(int version) {
    struct config *c = malloc(sizeof *c);
    CHECK(c);
    c->version = version;
    for (int i = 0; i < 15; i++) c->copies[i] = version;
    return c;
}
static void check(const struct config *c) {
    CHECK(c->version > 0);
    for (int i = 0; i < 15; i++) CHECK_EQ(c->copies[i], c->version);
}

RT_TEST(test_value_lives_until_replaced_and_left) {
    STORE(destroyed, 0);
    cyg_snapshot_hold a, b, c;
    current = cyg_snapshot_new(&opts);
    CHECK(cyg_snapshot_get(current, &a) == NULL); /* nothing yet */
    cyg_snapshot_drop(&a);
    CHECK_EQ(cyg_snapshot_live(current), 0);
    CHECK_EQ(cyg_snapshot_publish(current, make(1), 0), 0);
    const struct config *one = cyg_snapshot_get(current, &a);
    CHECK(cyg_snapshot_get(current, &b) == one);
    CHECK_EQ(cyg_snapshot_publish(current, make(2), sizeof(struct config)), 0);
    CHECK_EQ(cyg_snapshot_live(current), 2);
    const struct config *two = cyg_snapshot_get(current, &c);
    CHECK_EQ(two->version, 2);
    cyg_snapshot_drop(&a);
    CHECK_EQ(one->version, 1);
    cyg_snapshot_drop(&b);
    CHECK_EQ(LOAD(destroyed), 1);
    CHECK_EQ(cyg_snapshot_publish(current, NULL, 0), 0); /* nothing again */
    CHECK(cyg_snapshot_get(current, &a) == NULL);
    CHECK_EQ(cyg_snapshot_publish(current, make(3), 0), 0); /* no readers at all */
    cyg_snapshot_free(current);
    CHECK_EQ(LOAD(destroyed), 2);
    CHECK_EQ(two->version, 2); /* a hold outlives the snapshot */
    cyg_snapshot_drop(&c);
    CHECK_EQ(LOAD(destroyed), 3);
    cyg_snapshot_free(NULL);
}

/* Versions only grow, as one reader sees them and as readers tell each other. */
static int seen; /* the newest version that any reader has returned with */
static void read_on(void *arg) {
    cyg_snapshot_hold held[4];
    const struct config *c[4] = {NULL};
    int last = 0;
    for (int i = 0; !LOAD(stop); i++) {
        int k = i % 4, newest = LOAD(seen);
        if (c[k]) {
            check(c[k]);
            cyg_snapshot_drop(&held[k]); /* on whatever P we are now */
        }
        CHECK((c[k] = cyg_snapshot_get(current, &held[k])));
        check(c[k]);
        CHECK(c[k]->version >= last);
        CHECK(c[k]->version >= newest); /* not older than what another had before we asked */
        last = c[k]->version;
        for (int s = LOAD(seen); s < last;)
            if (__atomic_compare_exchange_n(&seen, &s, last, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) break;
        if (arg ? i % 3 == 0 : i % 50 == 0) cyg_yield();
    }
    for (int k = 0; k < 4; k++)
        if (c[k]) cyg_snapshot_drop(&held[k]);
    ADD(done, 1);
}
static void publish_on(void *arg) {
    (void)arg;
    static cyg_mutex order; /* so that versions grow */
    for (int i = 0; i < 1000 / RT_LESS; i++) {
        cyg_mutex_lock(&order);
        CHECK_EQ(cyg_snapshot_publish(current, make(ADD(published, 1)), i % 2 ? sizeof(struct config) : 0), 0);
        cyg_mutex_unlock(&order);
        if (i % 4 == 0) cyg_yield();
    }
    ADD(done, 1);
}
RT_TEST(test_readers_see_whole_values_in_order) {
    STORE(destroyed, 0);
    STORE(done, 0);
    STORE(stop, 0);
    STORE(seen, 0);
    STORE(published, 1);
    current = cyg_snapshot_new(&opts);
    CHECK_EQ(cyg_snapshot_publish(current, make(1), 0), 0);
    for (int i = 0; i < 8; i++) GO(read_on, i % 2 ? &done : NULL);
    for (int i = 0; i < 3; i++) GO(publish_on, NULL);
    WAIT_FOR(LOAD(done) == 3);
    STORE(stop, 1);
    WAIT_FOR(LOAD(done) == 11);
    CHECK_EQ(cyg_snapshot_live(current), 1);
    CHECK_EQ(LOAD(destroyed), LOAD(published) - 1);
    cyg_snapshot_free(current);
    CHECK_EQ(LOAD(destroyed), LOAD(published)); /* each once: destroy looks */
}

struct handed {
    cyg_snapshot_hold hold;
    const struct config *c;
};
static void drop_elsewhere(void *arg) {
    struct handed *h = arg;
    CHECK_EQ(cyg_sleep(h->c->version % 7 * CYG_MICROSECOND), 0);
    check(h->c);
    cyg_snapshot_drop(&h->hold);
    ADD(done, 1);
}
/* A goroutine drops what another got; the value goes with the last, while the slot it lived in is used again and again. */
RT_TEST(test_holds_are_dropped_by_others) {
    STORE(destroyed, 0);
    STORE(done, 0);
    current = cyg_snapshot_new(&opts);
    int n = 1000 / RT_LESS;
    for (int i = 1; i <= n; i++) {
        struct handed h;
        CHECK_EQ(cyg_snapshot_publish(current, make(i), 0), 0);
        CHECK((h.c = cyg_snapshot_get(current, &h.hold)));
        CHECK_EQ(h.c->version, i);
        CHECK_EQ(cyg_go_copy(drop_elsewhere, &h), 0);
        if (i % 5 == 0) cyg_yield();
    }
    WAIT_FOR(LOAD(done) == n);
    CHECK_EQ(LOAD(destroyed), n - 1);
    cyg_snapshot_free(current);
    CHECK_EQ(LOAD(destroyed), n);
}

RT_TEST(test_one_value_in_two_snapshots) {
    STORE(destroyed, 0);
    current = cyg_snapshot_new(&opts);
    other = cyg_snapshot_new(&opts);
    cyg_snapshot_hold a, b;
    CHECK_EQ(cyg_snapshot_publish(current, make(1), 0), 0);
    const struct config *one = cyg_snapshot_get(current, &a);
    CHECK_EQ(cyg_snapshot_publish_held(other, &a), 0);
    cyg_snapshot_drop(&a);
    CHECK_EQ(cyg_snapshot_publish(current, make(2), 0), 0);
    CHECK(cyg_snapshot_get(other, &b) == one);
    cyg_snapshot_drop(&b);
    CHECK_EQ(LOAD(destroyed), 0);
    CHECK_EQ(cyg_snapshot_live(current), 2); /* counted where it came from */
    CHECK_EQ(cyg_snapshot_live(other), 0);
    CHECK_EQ(cyg_snapshot_publish_held(other, &(cyg_snapshot_hold){NULL, NULL}), 0); /* nothing */
    CHECK(cyg_snapshot_get(other, &b) == NULL);
    CHECK_EQ(LOAD(destroyed), 1);
    cyg_snapshot_free(current);
    cyg_snapshot_free(other);
    CHECK_EQ(LOAD(destroyed), 2);
}

static void reads_two(void *arg) {
    cyg_snapshot_hold h;
    const struct config *c = cyg_snapshot_get(current, &h);
    CHECK_EQ(c->version, 2);
    if (arg) cyg_yield();
    cyg_snapshot_drop(&h);
    ADD(done, 1);
}
/* A publisher that is stopped half-way: from then on everybody gets the new value, wherever he runs, and nobody waits for it; the
 * old one goes when the publisher is through and its reader has left. */
RT_TEST(test_readers_catch_up_with_a_publication_under_way) {
    STORE(destroyed, 0);
    STORE(done, 0);
    current = cyg_snapshot_new(&opts);
    cyg_snapshot_hold old, new;
    CHECK_EQ(cyg_snapshot_publish(current, make(1), 0), 0);
    const struct config *one = cyg_snapshot_get(current, &old);
    other = cyg_snapshot_new(&opts); /* where the next value has its family from */
    CHECK_EQ(cyg_snapshot_publish(other, make(2), 0), 0);
    CHECK(cyg_snapshot_get(other, &new));
    struct cyg_snapshot_slot *slot = cygrt_slot_new(new.slot->shards);
    ADD(new.slot->value->refs, 1);
    cygrt_slot_fill(slot, new.slot->value);
    uint32_t before = cygrt_switch_begin(current, slot->number);
    for (intptr_t i = 0; i < 200; i++) {
        reads_two(NULL);
        GO(reads_two, i % 2 ? &done : NULL);
    }
    WAIT_FOR(LOAD(done) == 400);
    cyg_snapshot_drop(&old);
    CHECK_EQ(LOAD(destroyed), 0); /* words may still have it */
    CHECK_EQ(one->version, 1);
    cygrt_switch_finish(current, before, slot->number);
    CHECK_EQ(LOAD(destroyed), 1);
    reads_two(NULL);
    cyg_snapshot_drop(&new);
    cyg_snapshot_free(other);
    cyg_snapshot_free(current);
    CHECK_EQ(LOAD(destroyed), 2);
}

/* What has been set aside is used, or goes with the snapshot. */
RT_TEST(test_reserved_memory_is_used_once) {
    STORE(destroyed, 0);
    current = cyg_snapshot_new(&opts);
    cyg_snapshot_hold h;
    for (int i = 1; i <= 20; i++) {
        CHECK_EQ(cyg_snapshot_reserve(current), 0);
        if (i % 3 == 0) CHECK_EQ(cyg_snapshot_reserve(current), 0);
        CHECK_EQ(cyg_snapshot_publish(current, make(i), 0), 0);
    }
    other = cyg_snapshot_new(NULL);
    CHECK_EQ(cyg_snapshot_reserve(other), 0);
    CHECK(cyg_snapshot_get(current, &h));
    CHECK_EQ(cyg_snapshot_publish_held(other, &h), 0);
    cyg_snapshot_drop(&h);
    CHECK_EQ(cyg_snapshot_reserve(other), 0);
    cyg_snapshot_free(current);
    CHECK_EQ(LOAD(destroyed), 19);
    cyg_snapshot_free(other);
    CHECK_EQ(LOAD(destroyed), 20);
}

static void *thread_reads(void *arg) {
    for (int i = 0; !LOAD(stop); i++) {
        cyg_snapshot_hold h;
        const struct config *c = cyg_snapshot_get(current, &h);
        if (c) check(c);
        cyg_snapshot_drop(&h);
    }
    return arg;
}
/* Also "nothing" comes and goes, and foreign threads read. */
RT_TEST(test_foreign_threads_and_nothing) {
    STORE(destroyed, 0);
    STORE(stop, 0);
    current = cyg_snapshot_new(&opts);
    pthread_t t[2];
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, thread_reads, NULL), 0);
    for (int i = 1; i <= 1000 / RT_LESS; i++) {
        CHECK_EQ(cyg_snapshot_publish(current, i % 2 ? make(i) : NULL, 0), 0);
        if (i % 10 == 0) cyg_yield();
    }
    STORE(stop, 1);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    cyg_snapshot_free(current);
    CHECK_EQ(LOAD(destroyed), 500 / RT_LESS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_lives_until_replaced_and_left),
        cmocka_unit_test(test_readers_see_whole_values_in_order),
        cmocka_unit_test(test_holds_are_dropped_by_others),
        cmocka_unit_test(test_one_value_in_two_snapshots),
        cmocka_unit_test(test_readers_catch_up_with_a_publication_under_way),
        cmocka_unit_test(test_reserved_memory_is_used_once),
        cmocka_unit_test(test_foreign_threads_and_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
