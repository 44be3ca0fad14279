/* chan.h: channels hand values from one goroutine to another, in order; cyg_select waits for whichever of several is ready.
 *
 *     cyg_auto_chan cyg_chan *jobs = cyg_chan_new(sizeof(struct job), 16);      // room for 16; 0: every send meets a receive
 *
 *     cyg_chan_send(jobs, &job);                                                // the producer
 *     cyg_chan_close(jobs);
 *
 *     while (cyg_chan_recv(jobs, &job) == 0) work(&job);                        // the consumers, until closed and empty
 *
 * Rules:
 * - Values are copied. The size of *(p) is checked against the channel's; a mismatch aborts with the site of the call.
 * - Order: values come out as they went in; waiting goroutines are served in the order in which they came.
 * - The wait of a call ends with the goroutine's context. A call that need not wait does not look at the context.
 * - A NULL channel is one that never becomes ready: sends and receives on it wait until the context or deadline ends them.
 * - References: who uses a channel holds one, or is called by somebody who does. A goroutine that is given a channel takes one
 *   of its own. Releasing the last one while somebody waits, and any use after it, aborts.
 */
#ifndef CYGNET_CHAN_H
#define CYGNET_CHAN_H

#include <cygnet/base.h>
#include <cygnet/context.h>
#include <cygnet/err.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

typedef struct cyg_chan cyg_chan;

#define CYG_CHAN_ELEM_MAX 1024 /* bytes of an element */

/* In place of a pointer to an element: nothing to send (a channel of size 0), or no place to put what is received (any
 * channel; the value is thrown away). */
__extension__ typedef char cyg_nothing[0];
#define CYG_NOTHING ((cyg_nothing *)NULL)

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* A channel for elements of elem_size bytes (0: a channel that only signals; at most CYG_CHAN_ELEM_MAX, more aborts) with room
 * for capacity of them. Capacity 0: a send waits until a receiver takes the value.
 * Blocks: never. From: anywhere but a signal handler. Owns: the caller gets one reference. Returns: NULL without memory. */
#define cyg_chan_new(elem_size, capacity) cyg_chan_new_at((elem_size), (capacity), __FILE__, __LINE__)
CYG_API cyg_chan *cyg_chan_new_at(size_t elem_size, size_t capacity, const char *file, int line);

/* Names the channel for dumps and for cyg_chan_named; NULL takes the name away. From now on it is looked at once a second: when its backlog
 * (values in it, senders that wait, tries that found no room) is larger each time, ten times in a row, a program of cyg_main says so on
 * standard error, with the name and where it was made, and again when it has gone on for twice as long (CYGNET_DEBUG=nobacklogs silences it,
 * backlogs turns it on elsewhere, backlogs=N looks every N ms). For channels that are few and stay, not one for each request. Owns: name must stay until the program ends (a literal).
 * Blocks: never. From: any thread. */
CYG_API void cyg_chan_set_name(cyg_chan *ch, const char *name);

/* References. Blocks: never. From: any thread. NULL is allowed. */
CYG_API cyg_chan *cyg_chan_acquire(cyg_chan *ch);
CYG_API void cyg_chan_release(cyg_chan *ch);

/* Ends the channel for everybody: no more sends (CYG_ECLOSED, also for those that wait), receivers get what is buffered and
 * then CYG_EOF. It does NOT drop the caller's reference, unlike cyg_close of a connection: a closed channel still has values
 * to give out, and whoever closes it often goes on to receive or count. Closing a closed channel, or NULL, aborts.
 * Blocks: never. From: any thread. */
#define cyg_chan_close(ch) cyg_chan_close_at((ch), __FILE__, __LINE__)
CYG_API void cyg_chan_close_at(cyg_chan *ch, const char *file, int line);

static inline void cyg_chan_cleanup_(cyg_chan **ch) { cyg_chan_release(*ch); }
/* Releases (does not close) the channel when the variable leaves its scope. */
#define cyg_auto_chan __attribute__((cleanup(cyg_chan_cleanup_)))

/* ---- send and receive ------------------------------------------------------------------------------------------- */

/* Sends *(p): hands it to the receiver that has waited longest, else puts it into the buffer, else waits for one or the other.
 * Blocks: parks. From: goroutine. Owns: *(p) is copied before the call returns.
 * Returns: 0; CYG_ECLOSED if the channel is closed, before or meanwhile; the context's error. Not 0: nobody gets the value. */
#define cyg_chan_send(ch, p) cyg_chan_send_at((ch), (p), sizeof *(p), __FILE__, __LINE__)
CYG_API int cyg_chan_send_at(cyg_chan *ch, const void *p, size_t n, const char *file, int line);

/* Receives into *(p) (p may be NULL with a type, or CYG_NOTHING: the value is thrown away).
 * Blocks: parks. From: goroutine. Owns: *(p) may be written until the call returns, so it lives as long as the call.
 * Returns: 0 with a value; CYG_EOF when the channel is closed and empty, *(p) is all zero then; the context's error, *(p) is
 * as it was. */
#define cyg_chan_recv(ch, p) cyg_chan_recv_at((ch), (p), sizeof *(p), __FILE__, __LINE__)
CYG_API int cyg_chan_recv_at(cyg_chan *ch, void *p, size_t n, const char *file, int line);

/* The same with a deadline (0: none). Return also CYG_ETIMEDOUT. A deadline that has passed still allows what need not wait. */
#define cyg_chan_send_until(ch, p, deadline) \
    cyg_chan_send_until_at((ch), (p), sizeof *(p), (deadline), __FILE__, __LINE__)
#define cyg_chan_recv_until(ch, p, deadline) \
    cyg_chan_recv_until_at((ch), (p), sizeof *(p), (deadline), __FILE__, __LINE__)
CYG_API int cyg_chan_send_until_at(cyg_chan *ch, const void *p, size_t n, cyg_time deadline, const char *file, int line);
CYG_API int cyg_chan_recv_until_at(cyg_chan *ch, void *p, size_t n, cyg_time deadline, const char *file, int line);

/* The same if it need not wait. Blocks: never. From: any thread. Returns: as the waiting forms, or CYG_EAGAIN: there was a
 * moment during the call at which it would have had to wait. */
#define cyg_chan_try_send(ch, p) cyg_chan_try_send_at((ch), (p), sizeof *(p), __FILE__, __LINE__)
#define cyg_chan_try_recv(ch, p) cyg_chan_try_recv_at((ch), (p), sizeof *(p), __FILE__, __LINE__)
CYG_API int cyg_chan_try_send_at(cyg_chan *ch, const void *p, size_t n, const char *file, int line);
CYG_API int cyg_chan_try_recv_at(cyg_chan *ch, void *p, size_t n, const char *file, int line);

/* ---- select ----------------------------------------------------------------------------------------------------- */

/* One case; made by the macros below. n is the element's size, or the time of CYG_UNTIL. */
struct cyg_select_case {
    cyg_chan *ch;
    const void *send;
    void *recv;
    bool *ok;
    int64_t n;
    uint32_t kind;
};
enum { CYG_CASE_SEND = 1, CYG_CASE_RECV, CYG_CASE_DEFAULT, CYG_CASE_UNTIL };

/* CYG_SEND(ch, p) or CYG_SEND(ch, p, &ok): sends *(p). The case of a closed channel is ready: ok becomes false; without ok,
 * cyg_select returns CYG_ECLOSED. */
#define CYG_SEND(...) CYG_SEND_(__VA_ARGS__, NULL, 0)
/* CYG_RECV(ch, p) or CYG_RECV(ch, p, &ok): receives into *(p) (CYG_NOTHING: the value is thrown away). The case of a closed
 * and empty channel is ready: ok becomes false and *(p) all zero. */
#define CYG_RECV(...) CYG_RECV_(__VA_ARGS__, NULL, 0)
/* Chosen if no other case is ready; then cyg_select does not wait. */
#define CYG_DEFAULT \
    { NULL, NULL, NULL, NULL, 0, CYG_CASE_DEFAULT }
/* Chosen if no other case was ready before the deadline (0: never chosen). */
#define CYG_UNTIL(deadline) \
    { NULL, NULL, NULL, NULL, (deadline), CYG_CASE_UNTIL }
#define CYG_SEND_(ch, p, ok, ...) \
    { (ch), (p), NULL, (ok), (int64_t)sizeof *(p), CYG_CASE_SEND }
#define CYG_RECV_(ch, p, ok, ...) \
    { (ch), NULL, (p), (ok), (int64_t)sizeof *(p), CYG_CASE_RECV }

/* What a waiting select needs for each case; on the caller's stack, so that any number of cases needs no memory. */
struct cyg_select_room {
    void *private_[7];
};

/* Carries out one of its cases and returns its index, counted from 0: one that is ready, chosen at random among them; else
 * CYG_DEFAULT; else it waits for the first to become ready. A channel may stand in several cases.
 *
 *     switch (cyg_select(NULL, CYG_RECV(jobs, &job, &ok), CYG_SEND(results, &r), CYG_UNTIL(deadline))) {
 *     case 0: ...
 *
 * ctx ends the wait; NULL: the goroutine's current context. (Given one, the current one does not: name a child of it.)
 * Blocks: parks, unless there is CYG_DEFAULT. From: goroutine; any thread with CYG_DEFAULT.
 * Owns: borrows ctx, channels and places until it returns; only the place and ok of the chosen case are written.
 * Returns: the index of the case; the context's error; CYG_ECLOSED, see CYG_SEND. */
#define cyg_select(ctx, ...)                                                                                     \
    __extension__({                                                                                              \
        const struct cyg_select_case cyg_cases_[] = {__VA_ARGS__};                                               \
        struct cyg_select_room cyg_room_[sizeof cyg_cases_ / sizeof *cyg_cases_];                                \
        cyg_select_at((ctx), cyg_cases_, cyg_room_, sizeof cyg_cases_ / sizeof *cyg_cases_, __FILE__, __LINE__); \
    })
CYG_API int cyg_select_at(cyg_ctx *ctx, const struct cyg_select_case *cases, struct cyg_select_room *room, size_t n,
                          const char *file, int line);

/* The same for an array of n cases made at run time: `cases[i] = (struct cyg_select_case)CYG_RECV(ch[i], &v[i]);`. Up to 8
 * cases need no memory. n 0: waits for the context. Returns also CYG_ENOMEM. */
#define cyg_select_n(ctx, cases, n) cyg_select_n_at((ctx), (cases), (n), __FILE__, __LINE__)
CYG_API int cyg_select_n_at(cyg_ctx *ctx, const struct cyg_select_case *cases, size_t n, const char *file, int line);

/* ---- timers and tickers as channels ------------------------------------------------------------------------------ */

/* A channel of cyg_time that becomes ready once, d from now (d <= 0: at once); the value is the time it was due. Only
 * receives, close, stop and reset are for it; a send aborts. It costs a timer only while somebody waits for it, so one that is
 * released or forgotten by its loop costs nothing but its memory.
 * Blocks: never. From: any thread. Owns: the caller gets one reference. Returns: NULL without memory. */
CYG_API cyg_chan *cyg_after(cyg_duration d);

/* The same, again and again, every period (> 0, else it aborts). Ticks that nobody took in time are left out: at most one is
 * ready, the oldest. */
CYG_API cyg_chan *cyg_tick(cyg_duration period);

/* Stops the timer or ticker: nothing is received from it any more, not even what was due before the call.
 * Blocks: never. From: any thread. Returns: true if it was running: a value was still to come or had not been taken. */
CYG_API bool cyg_chan_timer_stop(cyg_chan *ch);

/* Starts it anew, whether running, stopped or taken: ready d from now; a ticker gets the period d (> 0). What was due before
 * the call is not received. Closed: nothing happens. Blocks: never. From: any thread. Returns: as cyg_chan_timer_stop. */
CYG_API bool cyg_chan_timer_reset(cyg_chan *ch, cyg_duration d);

/* ---- seeing in -------------------------------------------------------------------------------------------------- */

typedef struct cyg_chan_stats {
    uint64_t sends_total;    /* values sent */
    uint64_t receives_total; /* values received */
    uint64_t drops_total;    /* cyg_chan_try_send that found no room */
    size_t depth;            /* values in the buffer, now */
    size_t capacity;
    size_t senders;   /* goroutines that wait to send, now; a select counts once per case */
    size_t receivers; /* goroutines that wait to receive, now */
    bool closed;
    uint64_t reserve[4];
} cyg_chan_stats;

/* Fills *out; all but drops_total belong to one instant. Blocks: never. From: any thread. */
CYG_API void cyg_chan_get_stats(cyg_chan *ch, cyg_chan_stats *out);

/* The channels of one name, put together. */
typedef struct cyg_chan_name_stats {
    const char *name;
    const char *file; /* where one of them was made */
    int line;
    uint64_t channels; /* now, like the next four */
    uint64_t depth;
    uint64_t capacity;
    uint64_t senders;
    uint64_t drops_total; /* of those that are there now */
    cyg_duration growing; /* for how long the backlog of one of them has only grown; 0 if not for ten looks */
    uint64_t reserve[4];
} cyg_chan_name_stats;

/* Writes what is known of the first n names of channels, for metrics. Blocks: never; looks at each channel that has a name.
 * From: any thread. Returns: how many it wrote. */
CYG_API size_t cyg_chan_named(cyg_chan_name_stats *out, size_t n);

/* Values in the buffer now, and room for how many in all; 0 for NULL. Blocks: never. From: any thread. */
CYG_API size_t cyg_chan_len(const cyg_chan *ch);
CYG_API size_t cyg_chan_cap(const cyg_chan *ch);

CYG_END_DECLS
#endif
