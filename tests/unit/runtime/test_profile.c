/* test_profile.c: profiles: who is where, who waited for locks, who used the processors; as text here, and a reader of the
 * pprof form that checks what refers to what. (tests/integration/test_pprof.py lets pprof itself read them.)
 */
#include <cygnet/debug.h>
#include <sys/mman.h>

#include "../rt.h"

static char text[1 << 20];
static size_t len;

static void read_back(int fd) {
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 0);
    len = (size_t)n;
    text[n] = 0;
    close(fd);
}
static void take(int kind, int format) {
    int fd = memfd_create("profile", MFD_CLOEXEC);
    CHECK_EQ(cyg_profile(fd, kind, format), 0);
    read_back(fd);
}
static void take_cpu(int format, cyg_duration d) {
    int fd = memfd_create("profile", MFD_CLOEXEC);
    CHECK_EQ(cyg_profile_cpu(fd, format, d), 0);
    read_back(fd);
}

/* ---- a reader of profile.proto, as far as we write it -------------------------------------------------------------------- */

struct field {
    uint64_t number, value; /* value of a varint, length of bytes */
    const unsigned char *p; /* bytes; NULL: a varint */
};
static uint64_t varint(const unsigned char **p, const unsigned char *end) {
    uint64_t v = 0;
    for (int shift = 0; *p < end; shift += 7) {
        CHECK(shift < 70);
        unsigned char c = *(*p)++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) return v;
    }
    CHECK(!"a varint is cut off");
    return 0;
}
static bool next_field(const unsigned char **p, const unsigned char *end, struct field *f) {
    if (*p == end) return false;
    uint64_t tag = varint(p, end);
    f->number = tag >> 3;
    f->p = NULL;
    CHECK((tag & 7) == 0 || (tag & 7) == 2);
    f->value = varint(p, end);
    if ((tag & 7) == 2) {
        CHECK(f->value <= (uint64_t)(end - *p));
        f->p = *p;
        *p += f->value;
    }
    return true;
}
/* Field `number` of the message in m: its value, or `none`. */
static uint64_t value_of(const struct field *m, uint64_t number, uint64_t none) {
    struct field f;
    for (const unsigned char *p = m->p; next_field(&p, m->p + m->value, &f);)
        if (f.number == number) return f.p ? (uint64_t)(f.p - m->p) : f.value;
    return none;
}

struct profile {
    unsigned strings, samples, locations, functions, mappings, types;
    uint64_t total[2];
    bool functions_seen[5000], locations_seen[5000];
};
/* Checks that everything that is referred to exists. */
static void parse(struct profile *out) {
    static struct profile r;
    const unsigned char *end = (const unsigned char *)text + len, *p;
    struct field f;
    memset(&r, 0, sizeof r);
    for (p = (const unsigned char *)text; next_field(&p, end, &f);) {
        r.types += f.number == 1;
        r.mappings += f.number == 3;
        if (f.number == 6 && r.strings++ == 0) CHECK_EQ(f.value, 0); /* the first text is the empty one */
        if (f.number == 4) r.locations_seen[value_of(&f, 1, 0)] = ++r.locations;
        if (f.number == 5) r.functions_seen[value_of(&f, 1, 0)] = ++r.functions;
    }
    for (p = (const unsigned char *)text; next_field(&p, end, &f);) {
        if (f.number == 5)
            CHECK(value_of(&f, 2, 0) > 0 && value_of(&f, 2, 0) < r.strings && value_of(&f, 4, 0) < r.strings);
        if (f.number == 4) { /* its line names a function */
            struct field x, line = {0};
            for (const unsigned char *q = f.p; next_field(&q, f.p + f.value, &x);)
                if (x.number == 4) line = x;
            CHECK(line.p && r.functions_seen[value_of(&line, 1, 0)]);
        }
        if (f.number != 2) continue;
        r.samples++;
        struct field x;
        for (const unsigned char *q = f.p; next_field(&q, f.p + f.value, &x);) {
            if (x.number == 3) continue;
            const unsigned char *v = x.p;
            for (unsigned i = 0; v < x.p + x.value; i++) {
                uint64_t n = varint(&v, x.p + x.value);
                if (x.number == 1) CHECK(n < 5000 && r.locations_seen[n]);
                if (x.number == 2) r.total[i] += n;
            }
        }
    }
    *out = r;
}

/* ---- goroutines ------------------------------------------------------------------------------------------------------------ */

static cyg_mutex held;
static int parked, done, line_of_start;

static void lock_it(void *arg) {
    (void)arg;
    ADD(parked, 1);
    cyg_mutex_lock(&held);
    cyg_mutex_unlock(&held);
    ADD(done, 1);
}

RT_TEST(test_goroutines_are_counted_by_start_site) {
    static struct profile p;
    char want[100];
    parked = done = 0;
    cyg_mutex_lock(&held);
    for (int i = 0; i < 50; i++) {
        line_of_start = __LINE__ + 1;
        GO(lock_it, NULL);
    }
    WAIT_FOR(LOAD(parked) == 50);
    snprintf(want, sizeof want, "test_profile.c:%d  [mutex]\n", line_of_start);
    WAIT_FOR((take(CYG_PROFILE_GOROUTINES, CYG_PROFILE_TEXT), strstr(text, "\n50  ") && strstr(text, want)));
    CHECK(strstr(text, "goroutines: 51 in all\n"));
#ifdef CYG_HAVE_LIBDW
    CHECK(strstr(text, "50  lock_it@test_profile.c"));
#endif
    take(CYG_PROFILE_GOROUTINES, CYG_PROFILE_PPROF);
    parse(&p);
    CHECK_EQ(p.total[0], 51);
    CHECK_EQ(p.samples, 2); /* those, and this one */
    CHECK_EQ(p.types, 1);
    CHECK_EQ(p.mappings, 1);
    snprintf(want, sizeof want, "test_profile.c:%d", line_of_start);
    CHECK(memmem(text, len, want, strlen(want)));
    cyg_mutex_unlock(&held);
    WAIT_FOR(LOAD(done) == 50);
}

/* ---- contention -------------------------------------------------------------------------------------------------------------- */

/* "(contentions: N)" of the row whose stack has the function, 0 without one. */
static unsigned long contentions_of(const char *function) {
    take(CYG_PROFILE_CONTENTION, CYG_PROFILE_TEXT);
    char *at = strstr(text, function), *row = NULL;
    if (!at) return 0;
    *at = 0;
    for (char *p = text; (p = strstr(p, "(contentions: ")); p++) row = p;
    CHECK(row);
    return strtoul(row + strlen("(contentions: "), NULL, 10);
}

__attribute__((noinline)) static void waits_here(cyg_mutex *m) {
    cyg_mutex_lock(m);
    cyg_mutex_unlock(m);
    __asm__ volatile("" ::: "memory");
}
static void contender(void *arg) {
    ADD(parked, 1);
    waits_here(arg);
    ADD(done, 1);
}
static void contend(unsigned n) {
    cyg_mutex m = {0};
    parked = done = 0;
    cyg_mutex_lock(&m);
    for (unsigned i = 0; i < n; i++) GO(contender, &m);
    for (;;) { /* all must wait in the queue */
        unsigned in_queue = 0;
        cyg_yield();
        while (__atomic_exchange_n(&m.qlock, 1, __ATOMIC_ACQUIRE)) cyg_yield();
        for (void *w = m.queue.head; w; w = *(void **)w) in_queue++; /* next is its first member */
        __atomic_store_n(&m.qlock, 0, __ATOMIC_RELEASE);
        if (in_queue == n) break;
    }
    cyg_mutex_unlock(&m);
    WAIT_FOR(LOAD(done) == (int)n);
    WAIT_FOR(rt_stats().goroutines == 1);
}

RT_TEST(test_waits_for_a_mutex_are_counted_by_who_waited) {
    static struct profile p;
#ifdef CYG_HAVE_LIBDW
    unsigned rate = cyg_profile_contention_rate(1);
    unsigned long before = contentions_of("waits_here+0x");
    contend(40);
    contend(1); /* and the step that was still to skip */
    unsigned long one = contentions_of("waits_here+0x") - before;
    CHECK(one >= 40 && one <= 41);
    CHECK(strstr(text, "[mutex]"));
    take(CYG_PROFILE_CONTENTION, CYG_PROFILE_PPROF);
    parse(&p);
    CHECK(p.types == 2 && p.total[1] >= one && p.total[0] > 0);
    /* None is recorded. */
    CHECK_EQ(cyg_profile_contention_rate(0), 1);
    before = contentions_of("waits_here+0x");
    contend(20);
    CHECK_EQ(contentions_of("waits_here+0x"), before);
    /* A sample stands for all: 400 waits, one of 4, each weighing 4. */
    CHECK_EQ(cyg_profile_contention_rate(4), 0);
    for (int i = 0; i < 10; i++) contend(40);
    unsigned long sampled = contentions_of("waits_here+0x") - before;
    CHECK(sampled % 4 == 0 && sampled > 100 && sampled < 1000);
    cyg_profile_contention_rate(rate);
#else
    (void)p, (void)contentions_of, (void)contend;
#endif
}

static cyg_chan *turns;

__attribute__((noinline)) static int receives_here(void) {
    int v;
    int err = cyg_chan_recv(turns, &v);
    __asm__ volatile("");
    return err;
}

static void send_turns(void *arg) {
    cyg_auto_chan cyg_chan *ch = cyg_chan_acquire(turns);
    for (int i = 0; i < *(int *)arg; i++) CHECK_EQ(cyg_chan_send(ch, &i), 0);
    cyg_chan_close(ch);
}

/* Waits for channels are recorded one in so many; each stands for all of them. */
RT_TEST(test_waits_for_channels_are_in_the_contention_profile) {
    int n = 4000;
    (void)n;
#ifndef RT_TSAN /* as above */
    unsigned rate = cyg_profile_contention_rate(1);
    unsigned long before = contentions_of("receives_here+0x"), seen = 0;
    for (cyg_time end = cyg_now() + RT_DEADLINE; seen == 0; seen = contentions_of("receives_here+0x") - before) {
        CHECK(cyg_now() < end); /* with several Ps a receive need not wait */
        turns = cyg_chan_new(sizeof(int), 0);
        CHECK(turns);
        GO(send_turns, &n);
        while (receives_here() == 0) {}
        cyg_chan_release(turns);
    }
    cyg_profile_contention_rate(rate);
    CHECK_EQ(seen % 251, 0);
    CHECK(strstr(text, "[chan receive]"));
#else
    (void)receives_here, (void)send_turns;
#endif
}

/* ---- CPU ------------------------------------------------------------------------------------------------------------------------ */

static int stop;
static cyg_waitgroup all; /* waited for without a yield: a P that is never idle helps nobody */
static void burn(void *arg) {
    (void)arg;
    while (!LOAD(stop))
        for (volatile int i = 0; i < 10000; i++) continue;
    cyg_waitgroup_done(&all);
}
static void idle(void *arg) {
    (void)arg;
    while (!LOAD(stop)) CHECK_EQ(cyg_sleep(CYG_MILLISECOND), 0);
    cyg_waitgroup_done(&all);
}

static bool first_row_has(const char *what) {
    const char *first = strstr(text, "\n\n"), *found = strstr(text, what);
    CHECK(strncmp(text, "CPU time by start site: ", 24) == 0 && first);
    return found && found < first + 2 + strcspn(first + 2, "\n");
}

/* First in the list is the one that computes, by far: how far is a matter of the machine. */
RT_TEST(test_cpu_time_goes_to_who_computes) {
    char want[100];
    static struct profile p;
    cyg_time end = cyg_now() + RT_DEADLINE;
    if (cyg_procs() == 1) return; /* burn would not let the profile's own goroutine run again */
    stop = 0;
    cyg_waitgroup_add(&all, 2);
    GO(idle, NULL);
    line_of_start = __LINE__ + 1;
    GO(burn, NULL);
    snprintf(want, sizeof want, "test_profile.c:%d\n", line_of_start);
    do take_cpu(CYG_PROFILE_TEXT, 50 * CYG_MILLISECOND);
    while (!first_row_has(want) && cyg_now() < end); /* a busy machine may have let nobody compute */
    CHECK(first_row_has(want));
    STORE(stop, 1);
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    take_cpu(CYG_PROFILE_PPROF, 5 * CYG_MILLISECOND);
    parse(&p);
    CHECK_EQ(p.types, 2);
}

static void until_cancelled(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    CHECK_EQ(cyg_profile_cpu(2, CYG_PROFILE_TEXT, CYG_MINUTE), CYG_ECANCELED);
    cyg_ctx_leave(&s);
    STORE(done, 1);
}
RT_TEST(test_one_cpu_profile_at_a_time_and_only_for_so_long) {
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    STORE(done, 0);
    GO(until_cancelled, ctx);
    WAIT_FOR(rt_stats().timers == 1);
    CHECK_EQ(cyg_profile_cpu(2, CYG_PROFILE_TEXT, CYG_MILLISECOND), CYG_ESTATE);
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(cyg_profile_cpu(2, CYG_PROFILE_TEXT, 0), CYG_EINVAL);
    CHECK_EQ(cyg_profile_cpu(2, CYG_PROFILE_TEXT, CYG_HOUR), CYG_EINVAL);
    CHECK_EQ(cyg_profile_cpu(2, 7, CYG_SECOND), CYG_EINVAL);
    CHECK_EQ(cyg_profile(2, CYG_PROFILE_GOROUTINES, 7), CYG_EINVAL);
    CHECK_EQ(cyg_profile(-1, CYG_PROFILE_GOROUTINES, CYG_PROFILE_TEXT), -EBADF);
    CHECK_EQ(cyg_profile(-1, CYG_PROFILE_GOROUTINES, CYG_PROFILE_PPROF), -EBADF);
}

RT_TEST(test_a_cancelled_cpu_profile_writes_nothing) {
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, 5 * CYG_MILLISECOND);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    int fd = memfd_create("profile", MFD_CLOEXEC);
    CHECK_EQ(cyg_profile_cpu(fd, CYG_PROFILE_TEXT, CYG_MINUTE), CYG_ETIMEDOUT);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 0);
    close(fd);
    cyg_ctx_leave(&s);
}

static void watches_for_long(void *arg) {
    (void)arg;
    (void)cyg_profile_cpu(2, CYG_PROFILE_TEXT, CYG_MINUTE);
}
static void test_the_runtime_stops_below_a_cpu_profile(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) { /* the second finds nobody watching */
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 2}), 0);
        CHECK_EQ(cyg_go(watches_for_long, NULL), 0);
        WAIT_FOR(rt_stats().timers == 1);
        CHECK_EQ(cyg_runtime_stop(), 0);
    }
    CHECK_EQ(cyg_profile_cpu(2, CYG_PROFILE_TEXT, CYG_SECOND), CYG_ESTATE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goroutines_are_counted_by_start_site),
        cmocka_unit_test(test_waits_for_a_mutex_are_counted_by_who_waited),
        cmocka_unit_test(test_waits_for_channels_are_in_the_contention_profile),
        cmocka_unit_test(test_cpu_time_goes_to_who_computes),
        cmocka_unit_test(test_one_cpu_profile_at_a_time_and_only_for_so_long),
        cmocka_unit_test(test_a_cancelled_cpu_profile_writes_nothing),
        cmocka_unit_test(test_the_runtime_stops_below_a_cpu_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
