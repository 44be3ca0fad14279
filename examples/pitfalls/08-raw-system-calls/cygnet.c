/* One goroutine calls read(2) on a pipe and tells nobody; another ticks and writes into it after so many ticks. Should that never
 * come, a process of its own writes instead, after so many seconds.
 *
 * usage: cygnet TICKS SECONDS */
#include <cygnet/cygnet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic long ticks;
static long wanted;
static int ends[2];
static char by; /* who ended the read */
static cyg_waitgroup all;

static void reader(void *arg) {
    (void)arg;
    while (read(ends[0], &by, 1) < 0) {} /* as any C library would */
    cyg_waitgroup_done(&all);
}

static void tick(void *arg) {
    (void)arg;
    while (atomic_fetch_add(&ticks, 1) + 1 < wanted) cyg_sleep(CYG_MILLISECOND);
    if (write(ends[1], "t", 1) != 1) perror("write");
    cyg_waitgroup_done(&all);
}

static pid_t watchdog(const char *seconds) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    dup2(ends[1], STDOUT_FILENO);
    execlp("sh", "sh", "-c", "sleep \"$0\"; printf w", seconds, (char *)NULL);
    _exit(1);
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s TICKS SECONDS\n", argv[0]), 2;
    wanted = atol(argv[1]);
    if (pipe(ends) != 0) return cyg_fail("pipe", -errno);
    pid_t dog = watchdog(argv[2]);
    if (dog < 0) return cyg_fail("fork", -errno);
    cyg_waitgroup_add(&all, 2);
    if (cyg_go(reader, NULL) < 0 || cyg_go(tick, NULL) < 0) return cyg_fail("cyg_go", CYG_ENOMEM);
    cyg_waitgroup_wait(&all);

    cyg_runtime_stats s;
    cyg_stats(&s);
    printf("ticks meanwhile: %ld\n", atomic_load(&ticks));
    printf("read ended by: %s\n", by == 't' ? "the ticker" : "the watchdog");
    printf("Ps taken back: %llu\n", (unsigned long long)s.retakes_blocked_total);
    kill(dog, SIGKILL);
    waitpid(dog, NULL, 0);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
