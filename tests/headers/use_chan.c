/* chan.h in use: a pipeline, a select with a deadline, a ticker. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/chan.h>
#include <cygnet/runtime.h>

struct job {
    int number;
    double weight;
};

struct desk {
    cyg_chan *jobs, *results;
};

static void clerk(void *arg) {
    struct desk *desk = (struct desk *)arg; /* a copy; main outlives it, so it borrows the channels */
    struct job job;
    while (cyg_chan_recv(desk->jobs, &job) == 0) {
        int twice = 2 * job.number;
        if (cyg_chan_send(desk->results, &twice) < 0) return;
    }
    cyg_chan_close(desk->results);
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_auto_chan cyg_chan *jobs = cyg_chan_new(sizeof(struct job), 4), *results = cyg_chan_new(sizeof(int), 0);
    cyg_auto_chan cyg_chan *tick = cyg_tick(CYG_MILLISECOND);
    if (!jobs || !results || !tick) return 1;
    cyg_chan_set_name(jobs, "jobs");
    struct desk desk = {jobs, results};
    int err = cyg_go_copy(clerk, &desk);
    if (err < 0) return err;

    int sum = 0, sent = 0, ticks = 0, value;
    bool ok = true;
    while (ok) {
        struct job job = {sent + 1, 0.5};
        int which = cyg_select(NULL, CYG_SEND(sent < 10 ? jobs : NULL, &job), CYG_RECV(results, &value, &ok),
                               CYG_RECV(tick, CYG_NOTHING), CYG_UNTIL(cyg_now() + 10 * CYG_SECOND));
        if (which == 0 && ++sent == 10) cyg_chan_close(jobs);
        if (which == 1 && ok) sum += value;
        if (which == 2) ticks++;
        if (which == 3 || which < 0) return 2;
    }
    cyg_time due;
    if (cyg_chan_recv(tick, &due) < 0 || due > cyg_now() || !cyg_chan_timer_stop(tick)) return 3;
    if (cyg_chan_try_recv(tick, &due) != CYG_EAGAIN || cyg_chan_recv(jobs, CYG_NOTHING) != CYG_EOF) return 4;

    cyg_chan_name_stats named;
    if (cyg_chan_named(&named, 1) != 1 || named.capacity != 4 || named.growing) return 6;
    struct cyg_select_case cases[2] = {CYG_RECV(tick, CYG_NOTHING), CYG_DEFAULT};
    cyg_chan_stats stats;
    cyg_chan_get_stats(jobs, &stats);
    return cyg_select_n(NULL, cases, 2) == 1 && sum == 110 && stats.sends_total == 10 && stats.closed ? 0 : 5;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
