/* stress_million.c: very many goroutines are parked at once, are all woken and all end: 100,000, or STRESS_GOROUTINES of them (5 GiB
 * a million). What a parked one costs is bounded: the page that holds its first frames and its struct, and what the kernel's
 * tables and a shared mapping's share come to.
 */
#include "stress.h"

#include <string.h>

/* One page each. The rest, in sum: 4 % for the pages that tables of the runtime, the heap and the run queues take. */
#define BYTES_EACH (4096 + 164)
/* Of all kinds of guards mprotect costs most: two mappings each, which 25,000 goroutines may have. */
#define MAPPINGS 50500

/* AddressSanitizer's guards are by mprotect, and it needs mappings of its own: there are 65,530 by default. */
#ifdef RT_ASAN
#define MANY 10000
#else
#define MANY 100000
#endif

static long count;
static cyg_mutex lock;
static cyg_cond go_on;
static bool released; /* guarded by lock */
static long came, woken;

static long status_kib(const char *word) {
    char line[256];
    long n = -1;
    FILE *f = fopen("/proc/self/status", "re");
    CHECK(f);
    while (n < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, word, strlen(word)) == 0) n = atol(line + strlen(word));
    fclose(f);
    CHECK(n >= 0);
    return n;
}

static long mappings(void) {
    long n = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    CHECK(f);
    for (int c; (c = getc(f)) != EOF;) n += c == '\n';
    fclose(f);
    return n;
}

static void wait_once(void *arg) {
    (void)arg;
    cyg_mutex_lock(&lock);
    came++;
    while (!released) CHECK_EQ(cyg_cond_wait(&go_on, &lock), 0);
    woken++;
    cyg_mutex_unlock(&lock);
}

static bool all_came(void) {
    cyg_mutex_lock(&lock);
    bool all = came == count;
    cyg_mutex_unlock(&lock);
    return all;
}

#if defined(RT_ASAN) || defined(RT_TSAN)
enum { SANITIZED = 1 }; /* they have memory of their own for each stack */
#else
enum { SANITIZED = 0 };
#endif

static void check_memory(long before) {
    long held = status_kib("VmRSS:") - before;
    fprintf(stderr, "%ld goroutines on %u Ps: %.0f bytes each, %ld mappings\n", count, cyg_procs(),
            1024.0 * (double)held / (double)count, mappings());
    /* Without a guard a stack has a pattern in its last page, which is memory, too. */
    CHECK(held <= (count * BYTES_EACH + (long)rt_stats().stacks_unguarded * 4096) / 1024);
    CHECK(mappings() <= MAPPINGS);
}

static void body(void) {
    came = woken = 0;
    released = false;
    long before = status_kib("VmRSS:");
    for (long i = 0; i < count; i++) GO(wait_once, NULL);
    WAIT_FOR(all_came());
    CHECK_EQ(rt_stats().goroutines, count + 1);
    if (!SANITIZED) check_memory(before);
    cyg_mutex_lock(&lock);
    released = true;
    cyg_cond_broadcast(&go_on);
    cyg_mutex_unlock(&lock);
    WAIT_FOR(rt_stats().goroutines == 1);
    cyg_mutex_lock(&lock);
    CHECK_EQ(woken, count);
    cyg_mutex_unlock(&lock);
}

int main(void) {
    const char *n = getenv("STRESS_GOROUTINES");
    count = n ? atol(n) : MANY / RT_LESS / RT_LESS;
    return stress_main(body);
}
