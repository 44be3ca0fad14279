/* waits: how long a request waits for what all share, at so many requests a second, each on a goroutine of its own. mutex: a lock that
 * guards a table, held for STEPS steps of a generator. pool: a connection to 127.0.0.1:PORT, over which it asks for an answer.
 * The first tenth is not counted. waits.go does the same.
 *
 * usage: waits mutex STEPS RATE SECONDS | waits pool PORT RATE SECONDS
 * prints one JSON object: requests, errors, p50_us, p99_us, p999_us, max_us */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>

static cyg_mutex lock;
static uint64_t table[64]; /* guarded by lock */
static uint64_t steps;
static cyg_connpool *pool;
static int64_t *waits; /* by request, in ns */
static uint64_t errors;
static cyg_waitgroup all;

static int64_t with_mutex(uint64_t i) {
    cyg_time begin = cyg_now();
    cyg_mutex_lock(&lock);
    int64_t waited = cyg_now() - begin;
    uint64_t x = i;
    for (uint64_t k = 0; k < steps; k++) {
        uint64_t at = x % 64;
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        table[at] += x;
    }
    cyg_mutex_unlock(&lock);
    return waited;
}

static int64_t with_pool(void) {
    static const char question[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[512];
    cyg_pooled_conn *pc;
    cyg_time begin = cyg_now();
    int err = cyg_connpool_get(pool, 0, &pc);
    int64_t waited = cyg_now() - begin;
    if (err < 0) return err;
    ssize_t n = cyg_write(pc->conn, question, sizeof question - 1);
    if (n > 0) n = cyg_read(pc->conn, answer, sizeof answer); /* hello_floor answers in one piece */
    if (n > 0)
        cyg_connpool_put(pc);
    else
        cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    return n > 0 ? waited : n;
}

static void request(void *arg) {
    uint64_t i = (uint64_t)(uintptr_t)arg;
    waits[i] = pool ? with_pool() : with_mutex(i);
    if (waits[i] < 0) __atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_done(&all);
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print(int64_t *v, size_t n) {
    qsort(v, n, sizeof *v, by_size);
    printf("{\"requests\": %zu, \"errors\": %llu, \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": "
           "%.3f}\n",
           n, (unsigned long long)errors, (double)v[n / 2] / 1e3, (double)v[n * 99 / 100] / 1e3,
           (double)v[n * 999 / 1000] / 1e3, (double)v[n - 1] / 1e3);
}

static int work(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: %s mutex STEPS RATE SECONDS | pool PORT RATE SECONDS\n", argv[0]), 2;
    uint64_t rate = strtoull(argv[3], NULL, 10), n = rate * strtoull(argv[4], NULL, 10);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[2]);
    int err = argv[1][0] == 'p' ? cyg_connpool_new("tcp", address, NULL, &pool) : 0;
    if (err < 0) return cyg_fail("pool", err);
    steps = strtoull(argv[2], NULL, 10);
    waits = calloc(n, sizeof *waits);
    cyg_waitgroup_add(&all, (int64_t)n);
    cyg_time begin = cyg_now();
    for (uint64_t i = 0; i < n; i++) {
        cyg_time due = begin + (cyg_time)(i * 1000000000ull / rate);
        if (cyg_now() < due) (void)cyg_sleep(due - cyg_now());
        if ((err = cyg_go(request, (void *)(uintptr_t)i)) < 0) return cyg_fail("cyg_go", err);
    }
    (void)cyg_waitgroup_wait(&all);
    print(waits + n / 10, n - n / 10);
    if (pool) cyg_connpool_close(pool);
    free(waits);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
