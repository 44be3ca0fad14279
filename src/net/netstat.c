/* netstat.c: see cygnet/netstat.h. A look: the inodes of our descriptors, then the kernel's list of sockets, counted by state and
 * by whose they are; those that one side has ended are asked for their age. */
#include "net/netstat.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/trend.h"
#include "runtime/sched.h"

#define MAX_SOCKETS 1000000
#define COST_SHARE 100 /* a look that took t is not repeated for a caller with a max_age before 100 t have passed */
#define ALL_STATES (((1u << CYG_TCP_STATES) - 1) & ~1u)
#define LISTENERS (1u << CYG_TCP_LISTEN)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows */
static cyg_netstat last;
static struct stuck *kept; /* sorted by inode */
static unsigned nkept;
static struct trend time_wait;

const char *cyg_tcp_state_name(int state) {
    static const char *const names[CYG_TCP_STATES] = {[CYG_TCP_ESTABLISHED] = "established",
                                                      [CYG_TCP_SYN_SENT] = "syn_sent",
                                                      [CYG_TCP_SYN_RECV] = "syn_recv",
                                                      [CYG_TCP_FIN_WAIT1] = "fin_wait1",
                                                      [CYG_TCP_FIN_WAIT2] = "fin_wait2",
                                                      [CYG_TCP_TIME_WAIT] = "time_wait",
                                                      [CYG_TCP_CLOSE] = "close",
                                                      [CYG_TCP_CLOSE_WAIT] = "close_wait",
                                                      [CYG_TCP_LAST_ACK] = "last_ack",
                                                      [CYG_TCP_LISTEN] = "listen",
                                                      [CYG_TCP_CLOSING] = "closing"};
    return state > 0 && state < CYG_TCP_STATES ? names[state] : "unknown";
}

/* ---- our descriptors ------------------------------------------------------------------------------------------------- */

struct own {
    uint64_t inode;
    int fd;
    bool tcp;
};
struct owns {
    struct own *list; /* sorted by inode */
    size_t n, room;
};

static int by_inode(const void *a, const void *b) {
    uint64_t x = ((const struct own *)a)->inode, y = ((const struct own *)b)->inode;
    return (x > y) - (x < y);
}

static int add_own(struct owns *o, int fd) {
    struct stat st;
    /* Not fstat, in which ThreadSanitizer sees a use of what another thread closes: this asks about any number. It is faster, too: libc
     * goes by way of newfstatat. */
    if (syscall(SYS_fstat, fd, &st) != 0 || !S_ISSOCK(st.st_mode)) return 0;
    if (o->n == o->room) {
        size_t room = o->room ? o->room * 2 : 256;
        struct own *p = realloc(o->list, room * sizeof *p);
        if (!p) return CYG_ENOMEM;
        o->list = p;
        o->room = room;
    }
    o->list[o->n++] = (struct own){st.st_ino, fd, false};
    return 0;
}

/* How many descriptors the table has room for: at most twice the highest ever used, or 64. Trying each number is several times cheaper
 * than reading /proc/self/fd, which makes a file of each. */
static int table_size(void) {
    char line[256];
    unsigned n = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && !n && fgets(line, sizeof line, f)) (void)sscanf(line, "FDSize: %u", &n);
    if (f) fclose(f);
    struct rlimit l;
    if (!n && getrlimit(RLIMIT_NOFILE, &l) == 0) n = (unsigned)(l.rlim_cur < 1048576 ? l.rlim_cur : 1048576);
    return (int)n;
}

static int read_owns(struct owns *o) {
    int err = 0;
    for (int fd = 0, n = table_size(); !err && fd < n; fd++) err = add_own(o, fd);
    if (!err && o->n) qsort(o->list, o->n, sizeof *o->list, by_inode);
    return err;
}

static struct own *own_of(struct owns *o, uint64_t inode) {
    struct own key = {.inode = inode};
    return inode && o->n ? bsearch(&key, o->list, o->n, sizeof key, by_inode) : NULL;
}

/* ---- counting ---------------------------------------------------------------------------------------------------------- */

struct look {
    cyg_netstat st;
    struct owns owns;
    struct ports_look *ports;
    struct stuck *stuck;
    unsigned nstuck;
    uint64_t max_sockets;
};

static bool see(const struct sockdiag_sock *s, void *arg) {
    struct look *l = arg;
    if (l->st.seen == l->max_sockets) {
        l->st.partial = true;
        return false;
    }
    l->st.seen++;
    struct own *own = own_of(&l->owns, s->inode);
    if (own && own->tcp) return true; /* the list changes while it is read, and may have one twice */
    if (own) {
        own->tcp = true;
        l->st.open[s->state]++;
    } else if (!s->inode) {
        l->st.unheld[s->state]++;
    }
    if (s->state == CYG_TCP_LISTEN)
        ports_look_listener(l->ports, s);
    else
        ports_look_see(l->ports, s, own != NULL);
    bool half = s->state == CYG_TCP_CLOSE_WAIT || s->state == CYG_TCP_FIN_WAIT2;
    if (own && half && l->nstuck < STUCK_MAX) l->stuck[l->nstuck++] = (struct stuck){.sock = *s, .fd = own->fd};
    return true;
}

/* ---- how long it has been so --------------------------------------------------------------------------------------------- */

static int stuck_by_inode(const void *a, const void *b) {
    uint64_t x = ((const struct stuck *)a)->sock.inode, y = ((const struct stuck *)b)->sock.inode;
    return (x > y) - (x < y);
}
static int stuck_by_age(const void *a, const void *b) {
    cyg_duration x = ((const struct stuck *)a)->age, y = ((const struct stuck *)b)->age;
    return (x < y) - (x > y);
}

/* Since the peer's last segment, which the one that brought it into this state was or came before. -1: another state by now. */
static cyg_duration age_by_kernel(const struct stuck *s) {
    struct tcp_info info;
    socklen_t n = sizeof info;
    if (getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 || info.tcpi_state != s->sock.state) return -1;
    return (cyg_duration)info.tcpi_last_ack_recv * CYG_MILLISECOND;
}

static void note_longest(struct look *l, const struct stuck *s) {
    cyg_duration *longest = s->sock.state == CYG_TCP_CLOSE_WAIT ? &l->st.close_wait_longest : &l->st.fin_wait2_longest;
    cyg_duration age = s->age > 0 ? s->age : 1; /* 0 says that there is none */
    if (age > *longest) *longest = age;
}

static void find_ages(struct look *l) {
    unsigned n = 0;
    for (unsigned i = 0; i < l->nstuck; i++) {
        struct stuck s = l->stuck[i], *before = nkept ? bsearch(&s, kept, nkept, sizeof s, stuck_by_inode) : NULL;
        s.age = age_by_kernel(&s);
        if (s.age < 0) continue;
        s.first_seen = before && before->sock.state == s.sock.state ? before->first_seen : l->st.taken_at;
        if (l->st.taken_at - s.first_seen > s.age) s.age = l->st.taken_at - s.first_seen;
        note_longest(l, &s);
        l->stuck[n++] = s;
    }
    l->nstuck = n;
    if (n) qsort(l->stuck, n, sizeof *l->stuck, stuck_by_inode);
    struct stuck *old = kept;
    kept = l->stuck;
    nkept = n;
    l->stuck = old;
}

/* ---- a look ------------------------------------------------------------------------------------------------------------- */

static int look_locked(struct look *l) {
    l->st.taken_at = cyg_now();
    l->stuck = malloc(STUCK_MAX * sizeof *l->stuck);
    l->ports = ports_look_new();
    int err = l->stuck && l->ports ? read_owns(&l->owns) : CYG_ENOMEM;
    if (err < 0) return err;
    /* Listeners first: they tell which connections are inbound. */
    err = sockdiag_each(&(struct sockdiag_query){.states = LISTENERS}, see, l);
    if (err < 0) return err;
    err = sockdiag_each(&(struct sockdiag_query){.states = ALL_STATES & ~LISTENERS}, see, l);
    if (err < 0) return err;
    l->st.source = err;
    for (size_t i = 0; i < l->owns.n; i++) l->st.other_open += !l->owns.list[i].tcp;
    find_ages(l);
    trend_add(&time_wait, l->st.taken_at, (double)l->st.unheld[CYG_TCP_TIME_WAIT]);
    l->st.time_wait_per_second = trend_slope(&time_wait);
    ports_look_publish(l->ports, l->st.taken_at);
    l->st.took = cyg_now() - l->st.taken_at;
    last = l->st;
    return 0;
}

static int look(uint64_t max_sockets) {
    struct look l = {.max_sockets = max_sockets ? max_sockets : MAX_SOCKETS};
    int err = look_locked(&l);
    free(l.owns.list);
    free(l.stuck);
    ports_look_free(l.ports);
    return err;
}

int netstat_look_now(uint64_t max_sockets, cyg_netstat *out, struct stuck *stuck, unsigned *n) {
    pthread_mutex_lock(&lock);
    int err = look(max_sockets);
    if (!err) {
        *out = last;
        if (stuck && nkept) memcpy(stuck, kept, nkept * sizeof *stuck);
        if (n) *n = nkept;
    }
    pthread_mutex_unlock(&lock);
    if (!err && stuck && *n) qsort(stuck, *n, sizeof *stuck, stuck_by_age);
    return err;
}

int cyg_netstat_look(const cyg_netstat_opts *opts, cyg_netstat *out) {
    cyg_netstat_opts o = opts ? *opts : (cyg_netstat_opts){0};
    pthread_mutex_lock(&lock);
    cyg_duration age = cyg_now() - last.taken_at;
    bool recent = last.taken_at && o.max_age > 0 && (age <= o.max_age || age < last.took * COST_SHARE);
    int err = recent ? 0 : look(o.max_sockets);
    if (!err) *out = last;
    pthread_mutex_unlock(&lock);
    return err;
}
