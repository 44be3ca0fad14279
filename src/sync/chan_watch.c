/* chan_watch.c: the list of named channels, and the look at their backlogs.
 *
 * The backlog of a channel is what was offered and not received: values in its buffer, senders that wait, and what found no room. One
 * that is larger at each of LOOKS looks than at the look before is reported, and again each time it has gone on for twice as long.
 * A queue that is merely busy is now and then shorter than a second before.
 *
 * Lock order: the list's lock, then a channel's. Who releases the last reference of a channel takes it off the list before it dies, so what
 * is on the list lives. */
#include "sync/chan_watch.h"
#include "base/fatal.h"
#include "sync/chan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY CYG_SECOND /* unless CYGNET_DEBUG=backlogs=N says so many milliseconds */
#define LOOKS 10

struct chan_watch {
    struct chan_watch *next, **at; /* guarded by lock, like all that follows */
    cyg_chan *ch;
    uint64_t backlog, drops; /* at the last look; drops when it began to grow */
    cyg_time since;          /* the look from which on it has grown */
    uint32_t grown;          /* looks since, each of which found it larger */
    uint32_t report_at;      /* of these */
};

static uint32_t lock;
static struct chan_watch *first;
static cyg_time last_look;

/* ---- the list ------------------------------------------------------------------------------------------------------ */

static void look_if_due(cyg_time now);

void chan_watch_begin(cyg_chan *ch) {
    struct chan_watch *w = cyg_xcalloc(1, sizeof *w);
    w->ch = ch;
    w->report_at = LOOKS;
    cyg_spin_lock(&lock);
    bool fresh = !ch->watch;
    if (fresh) {
        w->next = first;
        w->at = &first;
        if (first) first->at = &w->next;
        first = ch->watch = w;
    }
    cyg_spin_unlock(&lock);
    if (!fresh) free(w);
    atomic_store(&cygrt_sysmon_also, look_if_due);
}

void chan_watch_end(cyg_chan *ch) {
    cyg_spin_lock(&lock);
    struct chan_watch *w = ch->watch;
    if (w) {
        *w->at = w->next;
        if (w->next) w->next->at = w->at;
        ch->watch = NULL;
    }
    cyg_spin_unlock(&lock);
    free(w);
}

/* ---- looking --------------------------------------------------------------------------------------------------------- */

/* What a look has to say, written when the lock has been let go: standard error may be a pipe that nobody empties. */
struct said {
    char text[4096]; /* what does not fit is said the next time it is due */
    size_t n;
};

static void report(const struct chan_watch *w, const cyg_chan_stats *st, cyg_time now, struct said *said) {
    const char *name = chan_load(w->ch->name);
    size_t room = sizeof said->text - said->n;
    int n = snprintf(
        said->text + said->n, room,
        "cygnet: the backlog of channel \"%s\" (made at %s:%d) has only grown for %.1f s: %zu of %zu values, %zu "
        "senders wait, %llu found no room\n",
        name ? name : "", w->ch->file, w->ch->line, (double)(now - w->since) / 1e9, st->depth, st->capacity,
        st->senders, (unsigned long long)(st->drops_total - w->drops));
    if (n > 0 && (size_t)n < room) said->n += (size_t)n;
}

static void look_at(struct chan_watch *w, cyg_time now, struct said *said) {
    cyg_chan_stats st;
    cyg_chan_get_stats(w->ch, &st);
    uint64_t backlog = st.depth + st.senders + st.drops_total;
    if (backlog <= w->backlog || !last_look) {
        w->grown = 0;
        w->report_at = LOOKS;
        w->drops = st.drops_total;
    } else if (w->grown++ == 0) {
        w->since = last_look;
    }
    w->backlog = backlog;
    if (w->grown < w->report_at) return;
    report(w, &st, now, said);
    w->report_at *= 2;
}

void chan_watch_look(cyg_time now) {
    struct said said = {.n = 0};
    cyg_spin_lock(&lock);
    for (struct chan_watch *w = first; w; w = w->next) look_at(w, now, &said);
    last_look = now;
    cyg_spin_unlock(&lock);
    if (said.n && atomic_load(&cygrt_sched.report_backlogs)) (void)!write(2, said.text, said.n);
}

/* On sysmon's thread, the only one that comes here. */
static void look_if_due(cyg_time now) {
    static cyg_time next;
    static cyg_duration every;
    if (now < next) return;
    if (every) chan_watch_look(now);
    if (!every) every = cygrt_debug_number("backlogs") * CYG_MILLISECOND;
    if (!every) every = LOOK_EVERY;
    next = now + every;
}

/* ---- for metrics ------------------------------------------------------------------------------------------------------ */

/* Names are few: programs have them in their source. */
size_t cyg_chan_named(cyg_chan_name_stats *out, size_t n) {
    size_t found = 0;
    cyg_spin_lock(&lock);
    for (struct chan_watch *w = first; w; w = w->next) {
        const char *name = chan_load(w->ch->name);
        size_t i = 0;
        while (i < found && name && strcmp(out[i].name, name) != 0) i++;
        if (!name || i == n) continue;
        if (i == found) out[found++] = (cyg_chan_name_stats){.name = name, .file = w->ch->file, .line = w->ch->line};
        cyg_chan_stats st;
        cyg_chan_get_stats(w->ch, &st);
        out[i].channels++;
        out[i].depth += st.depth;
        out[i].capacity += st.capacity;
        out[i].senders += st.senders;
        out[i].drops_total += st.drops_total;
        cyg_duration growing = w->grown >= LOOKS ? last_look - w->since : 0;
        if (growing > out[i].growing) out[i].growing = growing;
    }
    cyg_spin_unlock(&lock);
    return found;
}
