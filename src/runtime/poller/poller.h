/* poller.h: waiting for descriptors. Packages above ask a descriptor's `cygrt_pd` to wait for reading or writing, with its
 * deadline; which system call answers is this directory's affair.
 *
 * A descriptor is registered once, edge-triggered, for its life. Each direction has a slot:
 *   NIL     nobody waits, nothing has happened since the last wait
 *   READY   an event came; the next wait returns at once
 *   a G     parked until an event
 *   a record (lowest bit set): an event starts its goroutine
 * Whoever changes a slot from a G or a record to something else owns waking it.
 */
#ifndef CYG_RUNTIME_POLLER_H
#define CYG_RUNTIME_POLLER_H

#include "runtime/sched.h"

#define CYGRT_PD_NIL ((uintptr_t)0)
#define CYGRT_PD_READY ((uintptr_t)2)
#define CYGRT_PD_RECORD ((uintptr_t)1)

enum cygrt_mode { CYGRT_READ = 0, CYGRT_WRITE = 1 };

struct cygrt_pd_timer {
    struct cygrt_timer t;
    struct cygrt_pd *pd;
    enum cygrt_mode mode;
};

/* Two cache lines are all that waiting and waking touch, where the struct begins at one. */
struct cygrt_pd {
    _Atomic uintptr_t slot[2];
    _Atomic int64_t deadline[2]; /* 0: none */
    _Atomic uint32_t read_events; /* events with input, end or error: a read that saw none of them since it began knows */
    _Atomic uint8_t ended;        /* sticky: the peer's end or an error was seen */
    _Atomic uint8_t closing;
    _Atomic uint8_t unwatched; /* input makes no events: whoever comes to wait for it changes that */
    _Atomic uint16_t tag;      /* in the event word: an event for a former life of this memory is dropped */
    int fd;
    struct p *home;             /* whose poller; NULL: a listener, known to all */
    cyg_time kept_deadline;     /* the reader's deadline, while the record's stands in its place; the record owner's */
    struct cygrt_record record; /* for slot[READ] */
    _Atomic int64_t armed[2];   /* a timer fires no later than this; INT64_MAX: perhaps not at all */
    struct cygrt_pd_timer timer[2]; /* armed lazily: a deadline that moves later costs a store */
};

/* Registers fd. pd is the caller's, zeroed or as the last unregister left it. exclusive: a listener, registered with every P.
 * Returns 0 or -errno. */
int cygrt_pd_register(struct cygrt_pd *pd, int fd, bool exclusive);
/* The same without a poller: events come by cygrt_pd_ready() alone. fd is for dumps, -1 if there is none. */
void cygrt_pd_open(struct cygrt_pd *pd, int fd);
/* Wakes everybody with CYG_ECLOSED; later waits return it at once. A record's goroutine is started with why = CYG_ECLOSED. */
void cygrt_pd_evict(struct cygrt_pd *pd);
/* After the last user has left: stops timers, forgets fd, which the caller closes next. forget: tells the kernel too, since fd stays
 * open, or has an address that must be free as soon as it is closed: a poller that is being asked at that moment (Linux 6.10 and
 * later) keeps the socket alive for some microseconds beyond close(2), but not beyond this. */
void cygrt_pd_unregister(struct cygrt_pd *pd, bool forget);

/* Parks until readiness. Returns 0, CYG_ETIMEDOUT, CYG_ECLOSED or the context's error. May return 0 for no reason. */
int cygrt_pd_wait(struct cygrt_pd *pd, enum cygrt_mode mode);
/* Whether a wait would end now with an error: 0 or that error. No parking. */
int cygrt_pd_check(const struct cygrt_pd *pd, enum cygrt_mode mode);
void cygrt_pd_set_deadline(struct cygrt_pd *pd, enum cygrt_mode mode, cyg_time t);
/* Until somebody waits for reading, input need not make events (the end and errors still do): for one who has bytes enough and
 * cannot pass them on. The caller keeps the descriptor open meanwhile. */
void cygrt_pd_unwatch(struct cygrt_pd *pd);
/* Leaves fn(arg, why) to be started by the next event. Returns 0 or CYG_ECLOSED. */
int cygrt_pd_record(struct cygrt_pd *pd, void (*fn)(void *, int), void *arg, cyg_time deadline);
/* Takes the record back: true if nothing had happened. */
bool cygrt_pd_cancel_record(struct cygrt_pd *pd);

/* An event came. From whoever polls; without a poller from anywhere. It wakes or enqueues, nothing more. */
void cygrt_pd_ready(struct cygrt_pd *pd, bool in, bool out, bool end);

/* One epoll_wait on target's poller by p (the same, or helping), until the given time (0: do not wait; INT64_MAX: for ever).
 * What it makes runnable goes to p's queue. Nothing if somebody else is polling there. */
void cygrt_poll(struct p *p, struct p *target, cyg_time until);
int cygrt_poller_open(struct p *p); /* 0 or -errno */
void cygrt_poller_close(struct p *p);
void cygrt_poller_notify(struct p *p);
bool cygrt_poller_ready(struct p *p); /* it would tell of something; takes nothing. From: any thread */
int cygrt_poller_add(struct p *p, struct cygrt_pd *pd, bool exclusive);
void cygrt_poller_unwatch(struct p *p, struct cygrt_pd *pd); /* no events for input, until rearm */
void cygrt_poller_rearm(struct p *p, struct cygrt_pd *pd);   /* events tell anew what is ready now */
void cygrt_poller_del(struct p *p, int fd);

#endif
