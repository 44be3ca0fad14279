/* time.h in use: durations, a deadline, a timer. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/runtime.h>
#include <cygnet/time.h>

static int fired;

static void fire(void *arg) { __atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE); }

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_time deadline = cyg_now() + 10 * CYG_SECOND;
    cyg_timer *timer;
    int err = cyg_after_func(2 * CYG_MILLISECOND, fire, &fired, &timer);
    if (err < 0) return err;
    while (!__atomic_load_n(&fired, __ATOMIC_ACQUIRE) && cyg_now() < deadline) cyg_sleep(CYG_MILLISECOND);
    bool stopped = cyg_timer_stop(timer); /* too late: it has fired */
    cyg_timer_release(timer);
    return fired && !stopped && cyg_unix_nano() > 0 ? 0 : 1;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
