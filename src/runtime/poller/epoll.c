/* epoll.c: the poller of a P on Linux. Event words are a pointer with the descriptor's tag in the upper 16 bits; word 0 is
 * the P's own eventfd, by which a sleeping P is woken. */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/cohort.h"
#include "runtime/poller/poller.h"
#include "runtime/probes.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PTR_BITS 48
#define PTR_MASK ((1ull << PTR_BITS) - 1)

int cygrt_poller_open(struct p *p) {
    p->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epfd < 0) return -errno;
    p->evfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->evfd < 0) return -errno;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    return epoll_ctl(p->epfd, EPOLL_CTL_ADD, p->evfd, &ev) < 0 ? -errno : 0;
}

void cygrt_poller_close(struct p *p) {
    if (p->epfd >= 0) close(p->epfd);
    if (p->evfd >= 0) close(p->evfd);
}

/* Edge-triggered, so the counter is never read: every write makes an event. */
void cygrt_poller_notify(struct p *p) {
    uint64_t one = 1, all;
    while (write(p->evfd, &one, sizeof one) < 0 && (errno == EAGAIN || errno == EINTR))
        if (errno == EAGAIN) (void)!read(p->evfd, &all, sizeof all);
}

bool cygrt_poller_ready(struct p *p) {
    if (atomic_load_explicit(&p->npds, memory_order_relaxed) == 0) return false;
    struct pollfd f = {.fd = p->epfd, .events = POLLIN};
    return poll(&f, 1, 0) > 0;
}

int cygrt_poller_add(struct p *p, struct cygrt_pd *pd, bool exclusive) {
    CYG_ASSERT(((uintptr_t)pd & ~PTR_MASK) == 0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET,
                             .data.u64 = (uintptr_t)pd | (uint64_t)atomic_load(&pd->tag) << PTR_BITS};
    if (!exclusive)
        ev.events |= EPOLLOUT | EPOLLRDHUP;
    else if (!cygrt_sched.no_exclusive)
        ev.events |= EPOLLEXCLUSIVE;
    if (epoll_ctl(p->epfd, EPOLL_CTL_ADD, pd->fd, &ev) == 0) return 0;
    int err = -errno;
    if (err != -EINVAL || !(ev.events & EPOLLEXCLUSIVE)) return err;
    ev.events &= ~EPOLLEXCLUSIVE; /* before Linux 4.5: every P wakes for a connection */
    return epoll_ctl(p->epfd, EPOLL_CTL_ADD, pd->fd, &ev) < 0 ? -errno : 0;
}

static void modify(struct p *p, struct cygrt_pd *pd, uint32_t events) {
    struct epoll_event ev = {.events = events | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             .data.u64 = (uintptr_t)pd | (uint64_t)atomic_load(&pd->tag) << PTR_BITS};
    (void)epoll_ctl(p->epfd, EPOLL_CTL_MOD, pd->fd, &ev);
}

void cygrt_poller_rearm(struct p *p, struct cygrt_pd *pd) { modify(p, pd, EPOLLIN); }
void cygrt_poller_unwatch(struct p *p, struct cygrt_pd *pd) { modify(p, pd, 0); }

void cygrt_poller_del(struct p *p, int fd) {
    struct epoll_event ev = {0};
    (void)epoll_ctl(p->epfd, EPOLL_CTL_DEL, fd, &ev);
}

static int wait_ns(int epfd, struct epoll_event *evs, cyg_duration ns) {
    if (ns != 0 && !atomic_load_explicit(&cygrt_sched.no_pwait2, memory_order_relaxed)) {
        struct timespec ts = {.tv_sec = ns / CYG_SECOND, .tv_nsec = ns % CYG_SECOND};
        int n = (int)syscall(SYS_epoll_pwait2, epfd, evs, CYGRT_EVENTS, ns < 0 ? NULL : &ts, NULL, 0);
        if (n >= 0 || errno != ENOSYS) return n;
        atomic_store_explicit(&cygrt_sched.no_pwait2, true, memory_order_relaxed); /* before Linux 5.11 */
    }
    int ms = -1;
    if (ns >= 0) {
        cyg_duration up = (ns + CYG_MILLISECOND - 1) / CYG_MILLISECOND;
        ms = up > 1000000 ? 1000000 : (int)up;
    }
    return epoll_wait(epfd, evs, CYGRT_EVENTS, ms);
}

static void dispatch(struct p *p, struct p *target, const struct epoll_event *ev) {
    struct cygrt_pd *pd = (struct cygrt_pd *)(uintptr_t)(ev->data.u64 & PTR_MASK);
    if (!pd) { /* the bell of target, which may be about to sleep: only its own M may take it (models/spin_to_idle.pml) */
        if (p != target) cygrt_poller_notify(target);
        return;
    }
    if (atomic_load_explicit(&pd->tag, memory_order_acquire) != (uint16_t)(ev->data.u64 >> PTR_BITS)) return;
    uint32_t e = ev->events;
    CYGRT_COUNT(p->n_event);
    cygrt_pd_ready(pd, e & EPOLLIN, e & EPOLLOUT, e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

void cygrt_poll(struct p *p, struct p *target, cyg_time until) {
    if (!cyg_spin_trylock(&target->poll_lock)) return;
    struct epoll_event evs[CYGRT_EVENTS];
    cyg_duration ns = 0;
    if (until == INT64_MAX)
        ns = -1;
    else if (until > 0 && (ns = until - cygrt_p_now(p)) < 0)
        ns = 0;
    int n = wait_ns(target->epfd, evs, ns);
    cyg_time now = cyg_now();
    atomic_store_explicit(&p->now, now, memory_order_relaxed);
    atomic_store_explicit(&target->last_poll, now, memory_order_relaxed);
    cyg_spin_unlock(&target->poll_lock);
    p->polled_at = now;
    p->polled_tick = atomic_load_explicit(&p->tick, memory_order_relaxed);
    if (p == target) p->poll_due = now + CYGRT_POLL_EVERY;
    CYGRT_COUNT(p->n_poll);
    CYGRT_PROBE3(poll, p->id, target->id, n);
    bool only = cygrt_cohort_only(p);
    for (int i = 0; i < n; i++) dispatch(p, target, &evs[i]);
    if (only) cygrt_cohort_set(p);
    if (n > 1) cygrt_maybe_wake(p);
}
