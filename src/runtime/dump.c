/* dump.c: every goroutine, for a person. Stacks of parked goroutines are walked by frame pointers; they may be resumed
 * meanwhile, so every step is checked against the stack's bounds, and a line may be out of date. */
#include "runtime/fiber.h"
#include "runtime/poller/poller.h"
#include "runtime/retake.h"
#include "runtime/sched.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 16

const char *const cygrt_reasons[CYGRT_REASONS] = {
    [CYGRT_R_NONE] = "",
    [CYGRT_R_SLEEP] = "sleep",
    [CYGRT_R_READ] = "read",
    [CYGRT_R_WRITE] = "write",
    [CYGRT_R_MUTEX] = "mutex",
    [CYGRT_R_COND] = "cond",
    [CYGRT_R_WAITGROUP] = "waitgroup",
    [CYGRT_R_BLOCKING] = "blocking call",
    [CYGRT_R_FDMUTEX] = "another user of the conn",
    [CYGRT_R_RWMUTEX] = "rwmutex",
    [CYGRT_R_SEMAPHORE] = "semaphore",
    [CYGRT_R_YIELD] = "yield",
    [CYGRT_R_CHAN_SEND] = "chan send",
    [CYGRT_R_CHAN_RECV] = "chan receive",
    [CYGRT_R_SELECT] = "select",
};

const char *cygrt_reason_text(enum cygrt_reason r) { return r < CYGRT_REASONS ? cygrt_reasons[r] : "?"; }

struct out {
    int fd, err;
    size_t n;
    char buf[4096];
};

static void flush(struct out *o) {
    size_t at = 0;
    while (at < o->n && !o->err) {
        ssize_t n = write(o->fd, o->buf + at, o->n - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            o->err = -errno;
        else
            at += (size_t)n;
    }
    o->n = 0;
}

__attribute__((format(printf, 2, 3))) static void print(struct out *o, const char *fmt, ...) {
    if (sizeof o->buf - o->n < 512) flush(o);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(o->buf + o->n, sizeof o->buf - o->n, fmt, ap);
    va_end(ap);
    if (n > 0) o->n += (size_t)n < sizeof o->buf - o->n ? (size_t)n : sizeof o->buf - o->n - 1;
}

static void print_address(struct out *o, const void *pc) {
    Dl_info info;
    if (!dladdr(pc, &info) || !info.dli_fname) {
        print(o, "    %p\n", pc);
        return;
    }
    const char *file = strrchr(info.dli_fname, '/');
    file = file ? file + 1 : info.dli_fname;
    if (info.dli_sname)
        print(o, "    %s+0x%lx (%s)\n", info.dli_sname,
              (unsigned long)((const char *)pc - (const char *)info.dli_saddr), file);
    else
        print(o, "    %s+0x%lx\n", file, (unsigned long)((const char *)pc - (const char *)info.dli_fbase));
}

/* Word i of the switch frame that a parked goroutine's sp points to. */
#if defined(__x86_64__)
#define FRAME_FP 5
#define FRAME_PC 6
#else
#define FRAME_FP 18
#define FRAME_PC 19
#endif

CYGRT_RACY static void print_stack(struct out *o, struct g *g) {
    uintptr_t lo = (uintptr_t)g->lo, hi = (uintptr_t)g->hi, sp = (uintptr_t)__atomic_load_n(&g->sp, __ATOMIC_RELAXED);
    if (sp < lo || sp > hi - (FRAME_PC + 1) * sizeof(void *) || sp % sizeof(void *)) return;
    void **frame = (void **)sp;
    print_address(o, frame[FRAME_PC]);
    uintptr_t fp = (uintptr_t)frame[FRAME_FP];
    for (int i = 0; i < FRAMES && fp > sp && fp <= hi - 2 * sizeof(void *) && fp % sizeof(void *) == 0; i++) {
        void **f = (void **)fp;
        if (!f[1]) break;
        print_address(o, f[1]);
        if ((uintptr_t)f[0] <= fp) break;
        fp = (uintptr_t)f[0];
    }
}

CYGRT_RACY static void print_where(struct out *o, struct g *g) {
    if (g->file) {
        print(o, "    started at %s:%d by goroutine %llu\n", g->file, g->line, (unsigned long long)g->parent);
        return;
    }
    Dl_info info;
    void (*fn)(void *, int) = g->ready_fn;
    void *addr;
    memcpy(&addr, &fn, sizeof addr);
    bool known = addr && dladdr(addr, &info) && info.dli_sname;
    print(o, "    started by a connection's readiness: %s\n", known ? info.dli_sname : "(static function)");
}

CYGRT_RACY static bool print_g(struct g *g, void *arg) {
    struct out *o = arg;
    int status = atomic_load_explicit(&g->status, memory_order_relaxed);
    if (status == G_FREE || !g->id) return true;
    print(o, "goroutine %llu", (unsigned long long)g->id);
    if (g->name) print(o, " \"%s\"", g->name);
    double secs = (double)(cyg_now() - g->wait_since) / 1e9;
    if (status == G_PARKED) {
        print(o, " [%s, %.3f s]", cygrt_reason_text(g->reason), secs);
        if (g->reason == CYGRT_R_READ || g->reason == CYGRT_R_WRITE)
            print(o, " fd %d", atomic_load_explicit(&g->wait_fd, memory_order_relaxed));
        else if (g->wait_obj)
            print(o, " on %p", g->wait_obj);
        if (g->reason >= CYGRT_R_CHAN_SEND && g->reason <= CYGRT_R_SELECT && g->wait_name)
            print(o, " \"%s\"", g->wait_name);
    } else if (g->reason == CYGRT_R_BLOCKING) {
        print(o, " [blocking call, %.3f s]", secs);
    } else {
        print(o, " [%s]", status == G_RUNNING ? "running" : "runnable");
    }
    print(o, ":\n");
    print_where(o, g);
    if (status == G_PARKED) print_stack(o, g);
    print(o, "\n");
    return o->err == 0;
}

static void print_sites(struct out *o) {
    unsigned n;
    const struct cygrt_site *site = cygrt_sites(&n);
    for (unsigned i = 0; i < n; i++, site++) {
        char where[256];
        cygrt_site_text(site, where, sizeof where);
        if (i == 0) print(o, "Ps were taken from goroutines that kept their thread for 10 ms or more:\n");
        print(o, "    %llu times, %llu of them still away, longest %.3f s: %s\n",
              (unsigned long long)atomic_load_explicit(&site->count, memory_order_relaxed),
              (unsigned long long)atomic_load_explicit(&site->now, memory_order_relaxed),
              (double)atomic_load_explicit(&site->longest_ns, memory_order_relaxed) / 1e9, where);
    }
    if (n) print(o, "\n");
}

int cyg_dump(int fd) {
    struct out o = {.fd = fd};
    cyg_runtime_stats st;
    cyg_stats(&st);
    print(&o, "cygnet: %llu goroutines, %llu idle connections, %llu threads, %u Ps\n\n", (unsigned long long)st.goroutines,
          (unsigned long long)st.start_records, (unsigned long long)st.threads, cyg_procs());
    print_sites(&o);
    cygrt_each_g(print_g, &o);
    flush(&o);
    return o.err;
}
