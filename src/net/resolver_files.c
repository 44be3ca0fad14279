/* resolver_files.c: what the hosts file and resolv.conf say, and noticing that they say something else. They are read by threads that may
 * block (cyg_blocking). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/internal.h"
#include "net/resolver_internal.h"

#define HOSTS_MAX (16u << 20) /* bytes of a hosts file; what lies behind is not read */

struct res_files *res_files_acquire(struct res_files *f) {
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void res_files_release(struct res_files *f) {
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
    hosts_free(&f->hosts);
    for (size_t i = 0; i < f->nsearch; i++) free(f->search[i]);
    free(f);
}

int res_files_add_search(struct res_files *f, const char *domain, size_t n) {
    char text[RES_NAME], name[RES_NAME];
    bool absolute;
    if (n == 0 || n >= sizeof text || f->nsearch == RES_SEARCH)
        return cygrt_fail(CYG_EPARSE, "search list: expected at most %d domains of at most 253 bytes", RES_SEARCH);
    memcpy(text, domain, n);
    text[n] = 0;
    if (strcmp(text, ".") == 0) return 0; /* the root: the name as it is, which is tried anyway */
    int err = res_name(text, name, &n, &absolute);
    if (err < 0) return err;
    char *copy = strdup(name);
    if (!copy) return CYG_ENOMEM;
    f->search[f->nsearch++] = copy;
    return 0;
}

static int add_search_list(struct res_files *f, const char *list) {
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, " \t");
        int err = n ? res_files_add_search(f, p, n) : 0;
        if (err < 0) return err;
        p += n;
        p += strspn(p, " \t");
    }
    return 0;
}

/* All zero if there is no such file. */
static void identify(const char *path, struct res_file_id *id) {
    struct stat st;
    memset(id, 0, sizeof *id); /* compared as bytes */
    if (!*path || stat(path, &st) < 0) return;
    id->dev = st.st_dev;
    id->ino = st.st_ino;
    id->size = st.st_size;
    id->mtime = st.st_mtim;
}

/* A file that is not there is an empty one. */
static int load_hosts(const char *path, struct hosts *out) {
    int fd = *path ? open(path, O_RDONLY | O_CLOEXEC) : -1, err = 0;
    char *text = NULL;
    size_t n = 0, room = 0;
    while (fd >= 0 && n < HOSTS_MAX) {
        if (n == room) {
            char *more = realloc(text, room = room ? room * 2 : 4096);
            if (!more) {
                err = CYG_ENOMEM;
                break;
            }
            text = more;
        }
        ssize_t got = read(fd, text + n, room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    if (fd >= 0) close(fd);
    if (!err) err = hosts_parse(text ? text : "", n, out);
    free(text);
    return err;
}

int res_files_load(struct cyg_resolver *r, struct res_files **files, void **channel) {
    struct res_files *f = calloc(1, sizeof *f);
    if (!f) return CYG_ENOMEM;
    f->refs = 1;
    f->ndots = 1;
    *channel = NULL;
    identify(r->o.hosts, &f->hosts_id); /* before they are read: a change meanwhile is seen as one */
    identify(r->o.resolv_conf, &f->conf_id);
    int err = load_hosts(r->o.hosts, &f->hosts);
    if (!err && r->o.search) err = add_search_list(f, r->o.search);
    if (!err && !r->o.system) err = res_dns_open(r, f, channel);
    if (r->o.ndots) f->ndots = r->o.ndots;
    if (err < 0)
        res_files_release(f);
    else
        *files = f;
    return err;
}

struct load {
    struct cyg_resolver *r;
    struct res_files *files;
    void *channel;
};

static int load_blocking(void *arg) {
    struct load *l = arg;
    return res_files_load(l->r, &l->files, &l->channel);
}

int cyg_resolver_reload(cyg_resolver *r) {
    struct load l = {.r = r};
    int err = cyg_blocking(load_blocking, &l);
    cyg_mutex_lock(&r->lock);
    res_forget_all(r);
    struct res_files *old = NULL;
    if (!err) {
        old = r->files;
        r->files = l.files;
    }
    r->stats.reloads_total++;
    cyg_mutex_unlock(&r->lock);
    res_files_release(old);
    if (!err && l.channel) res_dns_swap(r, l.channel);
    return err;
}

struct look {
    struct cyg_resolver *r;
    struct res_file_id hosts, conf;
};

static int look_blocking(void *arg) {
    struct look *k = arg;
    identify(k->r->o.hosts, &k->hosts);
    identify(k->r->o.resolv_conf, &k->conf);
    return 0;
}

void res_files_check(struct cyg_resolver *r) {
    cyg_time now = res_now(r);
    int64_t last = atomic_load_explicit(&r->checked, memory_order_relaxed);
    if (now - last < RES_CHECK || !atomic_compare_exchange_strong(&r->checked, &last, now)) return;
    struct look k = {.r = r};
    (void)cyg_blocking(look_blocking, &k);
    cyg_mutex_lock(&r->lock);
    bool same = memcmp(&k.hosts, &r->files->hosts_id, sizeof k.hosts) == 0 &&
                memcmp(&k.conf, &r->files->conf_id, sizeof k.conf) == 0;
    cyg_mutex_unlock(&r->lock);
    if (!same) (void)cyg_resolver_reload(r); /* without memory the old ones stay, and the next look tries again */
}
