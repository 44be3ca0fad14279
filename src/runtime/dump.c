/* dump.c: every goroutine, for a person: groups of the same goroutines, with what they wait for, since when, where, and where
 * they were started. */
#include "runtime/roster.h"
#include "runtime/fiber.h"
#include "runtime/retake.h"

#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

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
    [CYGRT_R_CONNPOOL] = "connection pool",
};

const char *cygrt_reason_text(enum cygrt_reason r) { return r < CYGRT_REASONS ? cygrt_reasons[r] : "?"; }

/* ---- what they wait on -------------------------------------------------------------------------------------------------- */

static void address_text(const struct sockaddr_storage *ss, socklen_t n, char *buf, size_t size) {
    char ip[INET6_ADDRSTRLEN] = "";
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)ss;
        inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip);
        snprintf(buf, size, "%s:%u", ip, ntohs(a->sin_port));
    } else if (ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)ss;
        inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip);
        snprintf(buf, size, "[%s]:%u", ip, ntohs(a->sin6_port));
    } else if (ss->ss_family == AF_UNIX && n > offsetof(struct sockaddr_un, sun_path)) {
        const struct sockaddr_un *a = (const struct sockaddr_un *)ss;
        int len = (int)strnlen(a->sun_path, n - offsetof(struct sockaddr_un, sun_path));
        snprintf(buf, size, "%.*s", len, a->sun_path);
    } else {
        *buf = 0;
    }
}

/* " (127.0.0.1:80 from 127.0.0.1:4711)". The descriptor may have become another one meanwhile. */
static void print_socket(struct cygrt_out *o, int fd) {
    struct sockaddr_storage ss;
    char here[140] = "", there[140] = "";
    socklen_t n = sizeof ss;
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&ss, &n) != 0) return;
    address_text(&ss, n, here, sizeof here);
    n = sizeof ss;
    if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0) address_text(&ss, n, there, sizeof there);
    if (*here && *there)
        cygrt_print(o, " (%s from %s)", here, there);
    else if (*here)
        cygrt_print(o, " (%s)", here);
}

/* A name for an object's address, if there is one: a variable, or somebody's stack. The object itself may be gone. */
CYGRT_RACY static void print_object(struct cygrt_out *o, struct cygrt_symbols *s, const void *obj) {
    bool guard;
    struct g *owner = cygrt_stack_owner(obj, &guard);
    cygrt_print(o, " on %p", obj);
    if (owner) {
        cygrt_print(o, " (a local of goroutine %llu)", (unsigned long long)owner->id);
        return;
    }
    const struct cygrt_symbol *sym = cygrt_symbol_of(s, obj);
    if (!sym->name) return;
    if (sym->offset)
        cygrt_print(o, " (%s+0x%llx)", sym->name, (unsigned long long)sym->offset);
    else
        cygrt_print(o, " (%s)", sym->name);
}

static void print_wait(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_group *g) {
    const struct cygrt_seen *x = &g->one;
    if (x->fd >= 0) {
        cygrt_print(o, " fd %d", x->fd);
        if (g->count == 1) print_socket(o, x->fd);
        for (unsigned i = 1; i < g->count && i < CYGRT_SHOWN; i++) cygrt_print(o, ", %d", g->fds[i]);
        if (g->count > CYGRT_SHOWN) cygrt_print(o, ", ...");
    } else if (x->reason == CYGRT_R_BLOCKING) {
        const struct cygrt_symbol *fn = x->obj && g->same_obj ? cygrt_symbol_of(s, x->obj) : NULL;
        if (fn && fn->name) cygrt_print(o, " of %s", fn->name);
    } else if (x->obj && g->same_obj) {
        print_object(o, s, x->obj);
    } else if (x->obj) {
        cygrt_print(o, " on %llu objects", (unsigned long long)g->count);
    }
    if (x->obj_name) cygrt_print(o, " \"%s\"", x->obj_name);
}

/* ---- a group ------------------------------------------------------------------------------------------------------------- */

static void print_state(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_group *g) {
    const struct cygrt_seen *x = &g->one;
    if (x->status != G_PARKED && x->reason != CYGRT_R_BLOCKING) {
        cygrt_print(o, " [%s]", x->status == G_RUNNING ? "running" : "runnable");
        return;
    }
    cygrt_print(o, " [%s, %.3f s", cygrt_reason_text(x->reason), (double)g->youngest / 1e9);
    if (g->count > 1) cygrt_print(o, " to %.3f s", (double)g->oldest / 1e9);
    cygrt_print(o, "]");
    print_wait(o, s, g);
}

static void print_group(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_group *g) {
    const struct cygrt_seen *x = &g->one;
    char text[256];
    if (g->count == 1)
        cygrt_print(o, "goroutine %llu", (unsigned long long)x->id);
    else
        cygrt_print(o, "%llu goroutines", (unsigned long long)g->count);
    if (x->name) cygrt_print(o, " \"%s\"", x->name);
    print_state(o, s, g);
    cygrt_print(o, ":\n");
    if (g->count > 1) {
        cygrt_print(o, "    numbers");
        for (unsigned i = 0; i < g->count && i < CYGRT_SHOWN; i++)
            cygrt_print(o, "%s %llu", i ? "," : "", (unsigned long long)g->ids[i]);
        cygrt_print(o, "%s\n", g->count > CYGRT_SHOWN ? ", ..." : "");
    }
    cygrt_print_trace(o, s, &x->trace, "    ");
    if (!x->start.file)
        cygrt_print(o, "    started by a connection's readiness: %s\n", cygrt_start_text(s, &x->start, text, sizeof text));
    else if (g->count == 1 && x->parent)
        cygrt_print(o, "    started at %s:%d by goroutine %llu\n", x->start.file, x->start.line,
                    (unsigned long long)x->parent);
    else
        cygrt_print(o, "    started at %s:%d\n", x->start.file, x->start.line);
    cygrt_print(o, "\n");
}

static void print_records(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_group *g) {
    char text[256];
    bool one = g->count == 1;
    cygrt_print(o, "%llu idle connection%s would start %s, fd", (unsigned long long)g->count, one ? "" : "s",
                cygrt_start_text(s, &g->one.start, text, sizeof text));
    for (unsigned i = 0; i < g->count && i < CYGRT_SHOWN; i++) cygrt_print(o, "%s %d", i ? "," : "", g->fds[i]);
    if (one) print_socket(o, g->one.fd);
    cygrt_print(o, "%s\n\n", g->count > CYGRT_SHOWN ? ", ..." : "");
}

static void print_sites(struct cygrt_out *o) {
    unsigned n;
    const struct cygrt_site *site = cygrt_sites(&n);
    for (unsigned i = 0; i < n; i++, site++) {
        char where[256];
        cygrt_site_text(site, where, sizeof where);
        if (i == 0) cygrt_print(o, "Ps were taken from goroutines that kept their thread for 10 ms or more:\n");
        cygrt_print(o, "    %llu times, %llu of them still away, longest %.3f s: %s\n",
                    (unsigned long long)atomic_load_explicit(&site->count, memory_order_relaxed),
                    (unsigned long long)atomic_load_explicit(&site->now, memory_order_relaxed),
                    (double)atomic_load_explicit(&site->longest_ns, memory_order_relaxed) / 1e9, where);
    }
    if (n) cygrt_print(o, "\n");
}

struct dump {
    int fd, err;
    struct g *caller;
    struct cygrt_trace trace;
};

static void dump(void *arg) {
    struct dump *d = arg;
    struct cygrt_out o = {.fd = d->fd};
    struct cygrt_roster c;
    cyg_runtime_stats st;
    cygrt_roster_take(&c, CYGRT_ROSTER_STACKS | CYGRT_ROSTER_RUNNING | CYGRT_ROSTER_RECORDS, 0, d->caller, &d->trace);
    cyg_stats(&st);
    cygrt_print(&o, "cygnet: %llu goroutines, %llu idle connections, %llu threads, %u Ps\n\n",
                (unsigned long long)st.goroutines, (unsigned long long)st.start_records, (unsigned long long)st.threads,
                cyg_procs());
    print_sites(&o);
    struct cygrt_symbols *s = cygrt_symbols_open();
    for (const struct cygrt_group *g = c.groups; g && !o.err; g = g->next)
        if (g->one.id)
            print_group(&o, s, g);
        else
            print_records(&o, s, g);
    if (c.left_out) cygrt_print(&o, "... and %llu more, of too many kinds\n", (unsigned long long)c.left_out);
    cygrt_flush(&o);
    cygrt_symbols_close(s);
    cygrt_roster_free(&c);
    d->err = o.err;
}

int cyg_dump(int fd) {
    struct dump d = {.fd = fd, .caller = cygrt_g()};
    if (d.caller) cygrt_walk_here(&d.trace);
    cygrt_on_thread(dump, &d);
    return d.err;
}
