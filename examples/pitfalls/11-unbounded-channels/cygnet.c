/* Jobs come faster than one worker takes them: it takes one of a hundred. The channel between has room for 64.
 *
 * refuse: whoever has a job does not wait; a job that finds no room is refused, and whoever brought it knows.
 * wait: whoever has a job waits until there is room; the worker goes on at its own pace.
 * hoard: the mistake: room for everything, "to be safe".
 *
 * usage: cygnet refuse|wait|hoard JOBS */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 64

struct job {
    char body[1000];
};

static cyg_chan *jobs, *turn;

static void one_of_a_hundred(void *arg) {
    (void)arg;
    struct job j;
    while (cyg_chan_recv(turn, CYG_NOTHING) == 0 && cyg_chan_recv(jobs, &j) == 0) {}
}

static void all_of_them(void *arg) {
    (void)arg;
    struct job j;
    while (cyg_chan_recv(jobs, &j) == 0) {}
}

static void offer(long i, bool wait) {
    struct job j = {.body = {(char)i}};
    if (wait)
        (void)cyg_chan_send(jobs, &j);
    else
        (void)cyg_chan_try_send(jobs, &j); /* CYG_EAGAIN: refused; here one would answer 503 */
    if (!wait && i % 100 == 0) (void)cyg_chan_send(turn, CYG_NOTHING);
}

/* Whether the runtime has found the backlog to grow only; waits a while for its looks. */
static bool told(void) {
    cyg_chan_name_stats s;
    return cyg_chan_named(&s, 1) == 1 && s.growing > 0;
}

static long memory(void) {
    char line[256];
    long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmRSS:", 6) == 0) value = atol(line + 6);
    if (f) fclose(f);
    return value;
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s refuse|wait|hoard JOBS\n", argv[0]), 2;
    bool wait = strcmp(argv[1], "wait") == 0, hoard = strcmp(argv[1], "hoard") == 0;
    long n = atol(argv[2]), most = 0;
    jobs = cyg_chan_new(sizeof(struct job), hoard ? 1000000 : ROOM);
    turn = cyg_chan_new(0, 0);
    if (!jobs || !turn) return cyg_fail("cyg_chan_new", CYG_ENOMEM);
    cyg_chan_set_name(jobs, "jobs");
    int err = cyg_go(wait ? all_of_them : one_of_a_hundred, NULL);
    if (err < 0) return cyg_fail("cyg_go", err);
    cyg_chan_stats s = {0};
    long i = 0;
    for (bool more = true; more;) {
        offer(++i, wait);
        cyg_chan_get_stats(jobs, &s);
        if ((long)(s.depth + s.senders) > most) most = (long)(s.depth + s.senders);
        if (hoard) cyg_sleep(100 * CYG_MICROSECOND);
        more = hoard ? !told() && i < n : i < n;
    }
    printf("jobs offered: %ld\n", i);
    printf("jobs waiting: %zu\n", s.depth);
    printf("most at once: %ld\n", most);
    printf("jobs refused: %llu\n", (unsigned long long)s.drops_total);
    printf("memory in KiB: %ld\n", memory());
    if (hoard) printf("growth reported: %s\n", told() ? "yes" : "no");
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
