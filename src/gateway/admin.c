/* admin.c: the operator's door: health, metrics, the configuration in force, the goroutines. Reading only. */
#include "gateway/state.h"
#include "gateway/text.h"

#include <cygnet/debug.h>
#include <cygnet/netstat.h>
#include <cygnet/runtime.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void send_text(cyg_http_res *res, const char *content_type, struct cyg_gw_text *t) {
    if (t->failed)
        (void)cyg_http_send(res, 500, "text/plain", "out of memory\n", 14);
    else
        (void)cyg_http_send(res, 200, content_type, t->p, t->n);
    cyg_gw_text_free(t);
}

static void healthz(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw, (void)req;
    (void)cyg_http_send(res, 200, "text/plain", "alive\n", 6);
}

static void readyz(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)req;
    if (__atomic_load_n(&gw->draining, __ATOMIC_ACQUIRE))
        (void)cyg_http_send(res, 503, "text/plain", "draining\n", 9);
    else
        (void)cyg_http_send(res, 200, "text/plain", "ready\n", 6);
}

static void metrics(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)req;
    struct cyg_gw_text t = {0};
    cyg_gw_scrape(gw, &t);
    send_text(res, "text/plain; version=0.0.4; charset=utf-8", &t);
}

static void config(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)req;
    struct cyg_gw_text t = {0};
    cyg_gw_admin_config(gw, &t);
    send_text(res, "application/json", &t);
}

/* ---- debugging pages ------------------------------------------------------------------------------------------------- */

#define CPU_SECONDS 5 /* watched, when the query does not say */
#define CPU_SECONDS_MAX 60
#define LEAK_AGE (1 * CYG_MINUTE)

/* What a page asks the library to write. */
struct report {
    int (*write)(const struct report *r, int fd);
    int kind, format, fd, err;
    bool parks; /* write parks, so it cannot be called where blocking calls are */
    cyg_duration watch;
};

static int write_report(void *arg) {
    struct report *r = arg;
    return r->write(r, r->fd);
}

/* Through a file in memory: reports are written to a descriptor, and a pipe would have to be emptied meanwhile. Reading debug
 * information takes milliseconds, during which others run. */
static void send_report(cyg_http_res *res, struct report *r) {
    struct cyg_gw_text t = {0};
    char buf[4096];
    ssize_t n;
    r->fd = memfd_create("report", MFD_CLOEXEC);
    int err = r->fd < 0 ? CYG_ENOMEM : r->parks ? write_report(r) : cyg_blocking(write_report, r);
    if (err == CYG_ESTATE) {
        (void)cyg_http_send(res, 503, "text/plain", "another CPU profile is being taken\n", 35);
    } else {
        if (err < 0 || lseek(r->fd, 0, SEEK_SET) < 0) t.failed = true;
        while (!t.failed && (n = read(r->fd, buf, sizeof buf)) > 0) cyg_gw_text_put(&t, buf, (size_t)n);
        send_text(res, r->format == CYG_PROFILE_PPROF ? "application/octet-stream" : "text/plain; charset=utf-8", &t);
    }
    if (r->fd >= 0) close(r->fd);
}

/* The number behind "name=" in the query, or otherwise. */
static long query_number(cyg_http_req *req, const char *name, long otherwise) {
    cyg_str q = cyg_http_req_query(req);
    size_t n = strlen(name);
    for (size_t at = 0; at < q.n;) {
        size_t end = at;
        while (end < q.n && q.p[end] != '&') end++;
        if (end - at > n && memcmp(q.p + at, name, n) == 0 && q.p[at + n] == '=') {
            long v = 0;
            for (size_t i = at + n + 1; i < end; i++) {
                if (q.p[i] < '0' || q.p[i] > '9' || v > 1000000) return otherwise;
                v = v * 10 + (q.p[i] - '0');
            }
            return v;
        }
        at = end + 1;
    }
    return otherwise;
}

static int format_of(cyg_http_req *req) { return query_number(req, "debug", 0) ? CYG_PROFILE_TEXT : CYG_PROFILE_PPROF; }

static int write_dump(const struct report *r, int fd) {
    (void)r;
    return cyg_dump(fd);
}
static int write_leaks(const struct report *r, int fd) {
    (void)r;
    return cyg_leaks(fd, LEAK_AGE, NULL);
}
static int write_sockets(const struct report *r, int fd) {
    (void)r;
    return cyg_netstat_report(fd);
}
static int write_profile(const struct report *r, int fd) { return cyg_profile(fd, r->kind, r->format); }
static int write_cpu(const struct report *r, int fd) { return cyg_profile_cpu(fd, r->format, r->watch); }

static void goroutines(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw, (void)req;
    send_report(res, &(struct report){.write = write_dump});
}

static void leaks(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw, (void)req;
    send_report(res, &(struct report){.write = write_leaks});
}

static void sockets(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw, (void)req;
    send_report(res, &(struct report){.write = write_sockets});
}

static void profile_goroutines(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw;
    send_report(res, &(struct report){.write = write_profile, .kind = CYG_PROFILE_GOROUTINES, .format = format_of(req)});
}

static void profile_contention(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw;
    send_report(res, &(struct report){.write = write_profile, .kind = CYG_PROFILE_CONTENTION, .format = format_of(req)});
}

static void profile_cpu(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw;
    long seconds = query_number(req, "seconds", CPU_SECONDS);
    if (seconds < 1 || seconds > CPU_SECONDS_MAX) {
        (void)cyg_http_send(res, 400, "text/plain", "seconds is 1 to 60\n", 19);
        return;
    }
    bool head = cyg_str_eq(cyg_http_req_method(req), CYG_STR("HEAD")); /* nobody will see it */
    cyg_duration watch = head ? CYG_MILLISECOND : seconds * CYG_SECOND;
    send_report(res, &(struct report){.write = write_cpu, .parks = true, .format = format_of(req), .watch = watch});
}

/* ---- the pages ------------------------------------------------------------------------------------------------------- */

static void contents(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res);

static const struct page {
    const char *path, *about;
    void (*write)(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res);
} pages[] = {
    {"/", "this list", contents},
    {"/healthz", "200 while the process is alive", healthz},
    {"/readyz", "200 while it takes traffic, 503 while it drains", readyz},
    {"/metrics", "metrics for Prometheus", metrics},
    {"/config", "the configuration in force, as JSON", config},
    {"/debug/goroutines", "every goroutine and what it waits for", goroutines},
    {"/debug/leaks", "goroutines parked for a minute or longer, connections and who waits on them", leaks},
    {"/debug/sockets", "TCP sockets by state, what one side has ended and who holds it, ports left", sockets},
    {"/debug/pprof/goroutine", "goroutines by place, for pprof (text: ?debug=1)", profile_goroutines},
    {"/debug/pprof/cpu", "CPU time by start site over ?seconds=5, for pprof (text: ?debug=1)", profile_cpu},
    {"/debug/pprof/contention", "waits for locks by place, for pprof (text: ?debug=1)", profile_contention},
};
#define PAGES (sizeof pages / sizeof *pages)

static void contents(struct cyg_gw *gw, cyg_http_req *req, cyg_http_res *res) {
    (void)gw, (void)req;
    struct cyg_gw_text t = {0};
    cyg_gw_text_puts(&t, "cygnet " CYG_VERSION "\n\n");
    for (size_t i = 0; i < PAGES; i++) cyg_gw_text_printf(&t, "%-23s  %s\n", pages[i].path, pages[i].about);
    send_text(res, "text/plain; charset=utf-8", &t);
}

void cyg_gw_admin_handle(cyg_http_req *req, cyg_http_res *res, void *server) {
    struct cyg_gw *gw = ((struct cyg_gw_server *)server)->gw;
    cyg_str path = cyg_http_req_path(req), method = cyg_http_req_method(req);
    for (size_t i = 0; i < PAGES; i++) {
        if (!cyg_str_eq(path, cyg_str_of(pages[i].path))) continue;
        if (cyg_str_eq(method, CYG_STR("GET")) || cyg_str_eq(method, CYG_STR("HEAD"))) {
            pages[i].write(gw, req, res);
            return;
        }
        (void)cyg_http_res_add(res, CYG_STR("allow"), CYG_STR("GET, HEAD"));
        (void)cyg_http_send(res, 405, "text/plain", "only GET and HEAD here\n", 23);
        return;
    }
    (void)cyg_http_send(res, 404, "text/plain", "no such page; / lists them\n", 27);
}
