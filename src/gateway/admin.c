/* admin.c: the operator's door: health, metrics, the configuration in force, the goroutines. Reading only. */
#include "gateway/state.h"
#include "gateway/text.h"

#include <cygnet/runtime.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void send_text(cyg_http_res *res, const char *content_type, struct cyg_gw_text *t) {
    if (t->failed)
        (void)cyg_http_send(res, 500, "text/plain", "out of memory\n", 14);
    else
        (void)cyg_http_send(res, 200, content_type, t->p, t->n);
    cyg_gw_text_free(t);
}

static void healthz(struct cyg_gw *gw, cyg_http_res *res) {
    (void)gw;
    (void)cyg_http_send(res, 200, "text/plain", "alive\n", 6);
}

static void readyz(struct cyg_gw *gw, cyg_http_res *res) {
    if (__atomic_load_n(&gw->draining, __ATOMIC_ACQUIRE))
        (void)cyg_http_send(res, 503, "text/plain", "draining\n", 9);
    else
        (void)cyg_http_send(res, 200, "text/plain", "ready\n", 6);
}

static void metrics(struct cyg_gw *gw, cyg_http_res *res) {
    struct cyg_gw_text t = {0};
    cyg_gw_scrape(gw, &t);
    send_text(res, "text/plain; version=0.0.4; charset=utf-8", &t);
}

static void config(struct cyg_gw *gw, cyg_http_res *res) {
    struct cyg_gw_text t = {0};
    cyg_gw_admin_config(gw, &t);
    send_text(res, "application/json", &t);
}

/* Through a file in memory: the dump writes to a descriptor, and a pipe would have to be emptied meanwhile. */
static void goroutines(struct cyg_gw *gw, cyg_http_res *res) {
    (void)gw;
    struct cyg_gw_text t = {0};
    int fd = memfd_create("goroutines", MFD_CLOEXEC);
    char buf[4096];
    ssize_t n;
    if (fd < 0 || cyg_dump(fd) < 0 || lseek(fd, 0, SEEK_SET) < 0) t.failed = true;
    while (!t.failed && (n = read(fd, buf, sizeof buf)) > 0) cyg_gw_text_put(&t, buf, (size_t)n);
    if (fd >= 0) close(fd);
    send_text(res, "text/plain; charset=utf-8", &t);
}

static void contents(struct cyg_gw *gw, cyg_http_res *res);

static const struct page {
    const char *path, *about;
    void (*write)(struct cyg_gw *gw, cyg_http_res *res);
} pages[] = {
    {"/", "this list", contents},
    {"/healthz", "200 while the process is alive", healthz},
    {"/readyz", "200 while it takes traffic, 503 while it drains", readyz},
    {"/metrics", "metrics for Prometheus", metrics},
    {"/config", "the configuration in force, as JSON", config},
    {"/debug/goroutines", "every goroutine and what it waits for", goroutines},
};
#define PAGES (sizeof pages / sizeof *pages)

static void contents(struct cyg_gw *gw, cyg_http_res *res) {
    (void)gw;
    struct cyg_gw_text t = {0};
    cyg_gw_text_puts(&t, "cygnet " CYG_VERSION "\n\n");
    for (size_t i = 0; i < PAGES; i++) cyg_gw_text_printf(&t, "%-18s  %s\n", pages[i].path, pages[i].about);
    send_text(res, "text/plain; charset=utf-8", &t);
}

void cyg_gw_admin_handle(cyg_http_req *req, cyg_http_res *res, void *server) {
    struct cyg_gw *gw = ((struct cyg_gw_server *)server)->gw;
    cyg_str path = cyg_http_req_path(req), method = cyg_http_req_method(req);
    for (size_t i = 0; i < PAGES; i++) {
        if (!cyg_str_eq(path, cyg_str_of(pages[i].path))) continue;
        if (cyg_str_eq(method, CYG_STR("GET")) || cyg_str_eq(method, CYG_STR("HEAD"))) {
            pages[i].write(gw, res);
            return;
        }
        (void)cyg_http_res_add(res, CYG_STR("allow"), CYG_STR("GET, HEAD"));
        (void)cyg_http_send(res, 405, "text/plain", "only GET and HEAD here\n", 23);
        return;
    }
    (void)cyg_http_send(res, 404, "text/plain", "no such page; / lists them\n", 27);
}
