/* file_ways.c: ways to read and write a file from goroutines: straight (which keeps the P), by cyg_blocking, by
 * preadv2/pwritev2 that only does what needs no wait with cyg_blocking behind it, and by io_uring. For each: operations a
 * second, CPU time an operation, and how late a bystander's 500 us sleep ends. docs/internals/io.md has what it showed.
 *
 *     cc -O2 -std=gnu17 -D_GNU_SOURCE -Iinclude -o file_ways bench/micro/file_ways.c -lcygnet -luring -lpthread
 *     ./file_ways DIRECTORY [hot|cold]          # on the file system in question; needs 256 MiB there
 */
#include <cygnet/cygnet.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FILE_BYTES = 256 << 20, HOT_BYTES = 16 << 20, MAX_WORKERS = 64, LATE_MAX = 100000 };

enum way { STRAIGHT, BLOCKING, NOWAIT, URING, WAYS };
static const char *const way_names[WAYS] = {"straight", "cyg_blocking", "nowait+blocking", "io_uring"};

struct op {
    int fd;
    bool write;
    char *p;
    size_t n;
    off_t at;
    ssize_t result;
    cyg_chan *done; /* io_uring: one element when it is complete */
    bool complete;  /* guarded by ring_lock */
};

static unsigned long fell_back;

/* ---- io_uring: one ring under a lock; a goroutine waits for completions that did not come at once
 * ------------------------ */

static struct io_uring ring;
static cyg_mutex ring_lock;
static int ring_event;
static bool ring_stop;
static cyg_waitgroup ring_wg;

/* Under ring_lock. */
static void reap(struct op *mine) {
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&ring, &cqe) == 0) {
        struct op *o = io_uring_cqe_get_data(cqe);
        char token = 1;
        o->result = cqe->res;
        io_uring_cqe_seen(&ring, cqe);
        if (o == mine)
            o->complete = true;
        else
            (void)cyg_chan_try_send(o->done, &token);
    }
}

static void reaper(void *arg) {
    (void)arg;
    while (!__atomic_load_n(&ring_stop, __ATOMIC_ACQUIRE)) {
        uint64_t n;
        if (read(ring_event, &n, sizeof n) < 0) cyg_fd_wait(ring_event, CYG_READABLE, 0);
        cyg_mutex_lock(&ring_lock);
        reap(NULL);
        cyg_mutex_unlock(&ring_lock);
    }
    cyg_waitgroup_done(&ring_wg);
}

static ssize_t by_uring(struct op *o) {
    cyg_mutex_lock(&ring_lock);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (o->write)
        io_uring_prep_write(sqe, o->fd, o->p, (unsigned)o->n, (unsigned long long)o->at);
    else
        io_uring_prep_read(sqe, o->fd, o->p, (unsigned)o->n, (unsigned long long)o->at);
    io_uring_sqe_set_data(sqe, o);
    o->complete = false;
    (void)io_uring_cq_eventfd_toggle(&ring, false); /* what is complete at once needs no event */
    io_uring_submit(&ring);
    reap(o);
    (void)io_uring_cq_eventfd_toggle(&ring, true);
    reap(o); /* what came between */
    bool complete = o->complete;
    cyg_mutex_unlock(&ring_lock);
    char token;
    if (!complete) {
        (void)cyg_chan_recv(o->done, &token);
        __atomic_fetch_add(&fell_back, 1, __ATOMIC_RELAXED);
    }
    return o->result;
}

static void ring_open(void) {
    if (io_uring_queue_init(256, &ring, 0) < 0) {
        fprintf(stderr, "no io_uring here\n");
        exit(1);
    }
    ring_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    io_uring_register_eventfd(&ring, ring_event);
    cyg_waitgroup_add(&ring_wg, 1);
    cyg_go(reaper, NULL);
}

static void ring_close(void) {
    uint64_t one = 1;
    __atomic_store_n(&ring_stop, true, __ATOMIC_RELEASE);
    if (write(ring_event, &one, sizeof one) < 0) exit(1);
    (void)cyg_waitgroup_wait(&ring_wg);
    io_uring_queue_exit(&ring);
    close(ring_event);
}

/* ---- the others
 * ------------------------------------------------------------------------------------------------------------- */

static int plain(void *arg) {
    struct op *o = arg;
    o->result = o->write ? pwrite(o->fd, o->p, o->n, o->at) : pread(o->fd, o->p, o->n, o->at);
    return 0;
}

static ssize_t by_blocking(struct op *o) {
    cyg_blocking(plain, o);
    return o->result;
}

static ssize_t by_nowait(struct op *o) {
    struct iovec v = {o->p, o->n};
    ssize_t n = o->write ? pwritev2(o->fd, &v, 1, o->at, RWF_NOWAIT) : preadv2(o->fd, &v, 1, o->at, RWF_NOWAIT);
    if (n > 0) return n;
    __atomic_fetch_add(&fell_back, 1, __ATOMIC_RELAXED);
    return by_blocking(o);
}

static ssize_t do_op(enum way way, struct op *o) {
    switch (way) {
    case STRAIGHT: plain(o); return o->result;
    case BLOCKING: return by_blocking(o);
    case NOWAIT: return by_nowait(o);
    default: return by_uring(o);
    }
}

/* ---- measuring
 * -------------------------------------------------------------------------------------------------------------- */

struct work {
    enum way way;
    bool write, cold;
    size_t n;
    int fd, workers;
    long ops; /* of each worker */
    cyg_waitgroup wg;
    unsigned long partial;
};
static struct work *current;

static void worker(void *arg) {
    struct work *w = current;
    struct op o = {.fd = w->fd, .write = w->write, .n = w->n, .p = aligned_alloc(4096, w->n), .done = cyg_chan_new(1, 1)};
    uint64_t x = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15ull + 1;
    size_t slots = (w->cold ? FILE_BYTES : HOT_BYTES) / w->n;
    memset(o.p, 'x', o.n);
    for (long i = 0; i < w->ops; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        o.at = (off_t)((x >> 33) % slots * w->n);
        ssize_t r = do_op(w->way, &o);
        if (r < 0) {
            fprintf(stderr, "%s: %s\n", way_names[w->way], strerror((int)(r < -1 ? -r : errno)));
            exit(1);
        }
        if ((size_t)r < w->n) __atomic_fetch_add(&w->partial, 1, __ATOMIC_RELAXED);
        if (i % 64 == 63) cyg_yield();
    }
    cyg_chan_release(o.done);
    free(o.p);
    cyg_waitgroup_done(&w->wg);
}

static bool bystander_stop;
static double late[LATE_MAX];
static int nlate;
static cyg_waitgroup bystander_wg;
static void bystander(void *arg) {
    (void)arg;
    while (!__atomic_load_n(&bystander_stop, __ATOMIC_ACQUIRE)) {
        cyg_time due = cyg_now() + 500 * CYG_MICROSECOND;
        cyg_sleep(500 * CYG_MICROSECOND);
        if (nlate < LATE_MAX) late[nlate++] = (double)(cyg_now() - due) / 1e3;
    }
    cyg_waitgroup_done(&bystander_wg);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double cpu_now(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void measure(struct work *w) {
    if (w->cold) posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED);
    current = w;
    fell_back = 0;
    nlate = 0;
    bystander_stop = false;
    cyg_waitgroup_add(&bystander_wg, 1);
    cyg_go(bystander, NULL);
    double cpu = cpu_now();
    cyg_time begin = cyg_now();
    cyg_waitgroup_add(&w->wg, w->workers);
    for (int i = 0; i < w->workers; i++) cyg_go(worker, (void *)(uintptr_t)(i + 1));
    (void)cyg_waitgroup_wait(&w->wg);
    double us = (double)(cyg_now() - begin) / 1e3;
    cpu = cpu_now() - cpu;
    __atomic_store_n(&bystander_stop, true, __ATOMIC_RELEASE);
    (void)cyg_waitgroup_wait(&bystander_wg);
    qsort(late, (size_t)nlate, sizeof *late, by_value);
    long ops = w->ops * w->workers;
    printf(
        "%-5s %-5s %4zu KiB %3d  %-16s %9.0f ops/s %8.2f us cpu/op  late p50 %6.0f p99 %7.0f us  waited %3.0f %%%s\n",
        w->write ? "write" : "read", w->cold ? "cold" : "hot", w->n >> 10, w->workers, way_names[w->way],
        (double)ops / us * 1e6, cpu / (double)ops, nlate ? late[nlate / 2] : 0, nlate ? late[nlate * 99 / 100] : 0,
        100.0 * (double)fell_back / (double)ops, w->partial ? "  (some short)" : "");
    fflush(stdout);
}

static int make_file(const char *dir) {
    int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    static char block[1 << 20];
    memset(block, 'c', sizeof block);
    for (size_t at = 0; fd >= 0 && at < FILE_BYTES; at += sizeof block)
        if (pwrite(fd, block, sizeof block, (off_t)at) != (ssize_t)sizeof block) return -1;
    if (fd >= 0) fsync(fd);
    return fd;
}

static int run(int argc, char **argv) {
    int fd = make_file(argc > 1 ? argv[1] : ".");
    if (fd < 0) {
        perror("the file");
        return 1;
    }
    ring_open();
    static const struct {
        bool write, cold;
        size_t n;
        int workers;
        long ops;
    } what[] = {
        {false, false, 4096, 1, 60000},     {false, false, 4096, 64, 2000},   {false, false, 128 << 10, 1, 5000},
        {false, false, 128 << 10, 64, 100}, {true, false, 4096, 1, 30000},    {true, false, 4096, 64, 500},
        {true, false, 128 << 10, 1, 1000},  {true, false, 128 << 10, 64, 20}, {false, true, 4096, 1, 2000},
        {false, true, 4096, 64, 100},       {false, true, 128 << 10, 1, 300}, {false, true, 128 << 10, 64, 16},
    };
    for (size_t i = 0; i < sizeof what / sizeof *what; i++)
        for (int way = 0; way < WAYS && (argc < 3 || what[i].cold == (argv[2][0] == 'c')); way++) {
            if (!what[i].cold) posix_fadvise(fd, 0, HOT_BYTES, POSIX_FADV_WILLNEED);
            static char warm[1 << 20];
            for (off_t at = 0; !what[i].cold && at < HOT_BYTES; at += (off_t)sizeof warm)
                if (pread(fd, warm, sizeof warm, at) < 0) return 1;
            if (what[i].cold || what[i].write) fdatasync(fd);
            struct work w = {.way = (enum way)way,
                             .write = what[i].write,
                             .cold = what[i].cold,
                             .n = what[i].n,
                             .fd = fd,
                             .workers = what[i].workers,
                             .ops = what[i].ops};
            measure(&w);
        }
    ring_close();
    close(fd);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
