/* stress_chan.c: goroutines do random operations on a few channels: send and receive, plain, try, until and in selects, under
 * contexts that are cancelled, while channels are closed and replaced. Every value is a ticket with a number of its own: what
 * was sent arrives once, or is found in a buffer at the end; what was refused never arrives.
 */
#include "stress.h"

enum { CHANS = 4, USERS = 12, TICKETS = 1 << 21 };

/* per ticket: 0 not used, 1 sent or being sent, 2 received */
static uint8_t *state;
static uint32_t next_ticket;
static cyg_mutex swap_lock;
static cyg_chan *chans[CHANS]; /* guarded by swap_lock; each user takes a reference */
static int users;
static uint64_t n_sent, n_received;
static cyg_time until;

static cyg_chan *borrow(uint64_t *s) {
    cyg_mutex_lock(&swap_lock);
    cyg_chan *ch = cyg_chan_acquire(chans[rnd(s, CHANS)]);
    cyg_mutex_unlock(&swap_lock);
    return ch;
}

static void received(uint32_t ticket) {
    CHECK(ticket > 0 && ticket < TICKETS);
    uint8_t sent = 1;
    CHECK(__atomic_compare_exchange_n(&state[ticket], &sent, 2, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)); /* once */
    ADD(n_received, 1);
}
/* A send that was refused: nobody has the ticket, and nobody gets it. */
static void refused(uint32_t ticket) {
    uint8_t sent = 1;
    CHECK(__atomic_compare_exchange_n(&state[ticket], &sent, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}
static uint32_t take_ticket(void) {
    uint32_t t = ADD(next_ticket, 1);
    if (t < TICKETS) STORE(state[t], 1);
    return t;
}

static void one_send(uint64_t *s, uint32_t ticket) {
    cyg_chan *ch = borrow(s);
    int err;
    switch (rnd(s, 3)) {
    case 0: err = cyg_chan_try_send(ch, &ticket); break;
    case 1: err = cyg_chan_send_until(ch, &ticket, cyg_now() + rnd(s, 50) * CYG_MICROSECOND); break;
    default: err = cyg_chan_send(ch, &ticket);
    }
    if (err == 0)
        ADD(n_sent, 1);
    else
        refused(ticket);
    cyg_chan_release(ch);
}

static void one_receive(uint64_t *s) {
    cyg_chan *ch = borrow(s);
    uint32_t ticket = 0;
    int err;
    switch (rnd(s, 3)) {
    case 0: err = cyg_chan_try_recv(ch, &ticket); break;
    case 1: err = cyg_chan_recv_until(ch, &ticket, cyg_now() + rnd(s, 50) * CYG_MICROSECOND); break;
    default: err = cyg_chan_recv(ch, &ticket);
    }
    if (err == 0)
        received(ticket);
    else
        CHECK_EQ(ticket, 0);
    cyg_chan_release(ch);
}

/* Up to six cases on any channels, some twice, some in both directions. */
static void one_select(uint64_t *s, cyg_ctx *ctx) {
    enum { MOST = 6 };
    struct cyg_select_case cases[MOST];
    cyg_chan *held[MOST] = {NULL};
    uint32_t tickets[MOST] = {0};
    bool ok[MOST] = {false};
    size_t n = 1 + rnd(s, MOST);
    for (size_t i = 0; i < n; i++) {
        held[i] = rnd(s, 10) ? borrow(s) : NULL;
        if (rnd(s, 2) && (tickets[i] = take_ticket()) < TICKETS) {
            cases[i] = (struct cyg_select_case)CYG_SEND(held[i], &tickets[i], &ok[i]);
        } else {
            tickets[i] = 0;
            cases[i] = (struct cyg_select_case)CYG_RECV(held[i], &tickets[i], &ok[i]);
        }
    }
    if (n < MOST) {
        uint32_t what = rnd(s, 4);
        if (what == 0) cases[n++] = (struct cyg_select_case)CYG_DEFAULT;
        if (what == 1) cases[n++] = (struct cyg_select_case)CYG_UNTIL(cyg_now() + rnd(s, 50) * CYG_MICROSECOND);
    }
    int which = cyg_select_n(ctx, cases, n);
    CHECK(which < (int)n && which != CYG_ECLOSED && which != CYG_ENOMEM);
    for (size_t i = 0; i < n; i++) {
        bool chosen = (int)i == which;
        CHECK(chosen || !ok[i]);
        if (cases[i].kind == CYG_CASE_SEND) {
            if (chosen && ok[i])
                ADD(n_sent, 1);
            else
                refused(tickets[i]);
        }
        if (cases[i].kind == CYG_CASE_RECV) {
            if (chosen && ok[i])
                received(tickets[i]);
            else
                CHECK_EQ(tickets[i], 0);
        }
        if (held[i]) cyg_chan_release(held[i]);
    }
}

static void user(void *arg) {
    uint64_t s = rnd_from((uint64_t)(intptr_t)arg);
    while (cyg_now() < until && LOAD(next_ticket) < TICKETS - 1000) {
        /* What nobody meets ends by itself. */
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, (1 + rnd(&s, 500)) * CYG_MICROSECOND);
        cyg_ctx_scope scope = cyg_ctx_enter(ctx);
        for (uint32_t i = 0, n = rnd(&s, 30); i < n; i++) {
            uint32_t what = rnd(&s, 3), ticket;
            if (what == 0 && (ticket = take_ticket()) < TICKETS)
                one_send(&s, ticket);
            else if (what == 1)
                one_receive(&s);
            else
                one_select(&s, rnd(&s, 2) ? ctx : NULL);
        }
        cyg_ctx_leave(&scope);
    }
    ADD(users, -1);
}

static void drain(cyg_chan *ch) {
    for (uint32_t ticket; cyg_chan_recv(ch, &ticket) == 0;) received(ticket); /* closed: it does not wait */
}

static cyg_chan *fresh(uint64_t *s) {
    cyg_chan *ch = cyg_chan_new(sizeof(uint32_t), rnd(s, 2) ? 0 : rnd(s, 5));
    CHECK(ch);
    return ch;
}

static void body(void) {
    uint64_t s = rnd_from(4711);
    state = calloc(TICKETS, 1);
    CHECK(state);
    STORE(next_ticket, 0);
    STORE(n_sent, 0);
    STORE(n_received, 0);
    for (int i = 0; i < CHANS; i++) chans[i] = fresh(&s);
    until = cyg_now() + stress_time;
    STORE(users, USERS);
    for (intptr_t i = 0; i < USERS; i++) GO(user, (void *)i);
    while (LOAD(users)) { /* closes one from time to time, and puts another in its place */
        CHECK_EQ(cyg_sleep((1 + rnd(&s, 1000)) * CYG_MICROSECOND), 0);
        cyg_chan *ch = fresh(&s), *old;
        cyg_mutex_lock(&swap_lock);
        uint32_t i = rnd(&s, CHANS);
        old = chans[i];
        chans[i] = ch;
        cyg_mutex_unlock(&swap_lock);
        cyg_chan_close(old);
        drain(old);
        cyg_chan_release(old);
    }
    for (int i = 0; i < CHANS; i++) {
        cyg_chan_stats st;
        cyg_chan_get_stats(chans[i], &st);
        CHECK_EQ(st.senders + st.receivers, 0);
        cyg_chan_close(chans[i]);
        drain(chans[i]);
        cyg_chan_release(chans[i]);
    }
    CHECK_EQ(n_sent, n_received);
    CHECK(n_received > 0);
    for (uint32_t t = 0; t < TICKETS; t++) CHECK(state[t] != 1);
    free(state);
}

int main(void) { return stress_main(body); }
