/* select_claim.pml: a sleeping select is claimed by one of several channels, or claims itself.
 *
 * Mirrors: src/sync/select.c try_or_wait, enter_queues, wait_in_queues, claim_self, leave_queues; src/sync/chan_internal.h chan_take,
 * chan_grant, chan_send_locked, chan_recv_locked; src/sync/chan.c send_or_wait, wait_alone.
 * Has: two channels without a buffer; a select that receives from both, under a context that may end; on each channel a sender, which queues when
 * nobody receives; and a receiver that drains what is left, so that a sender that was passed over is served in the end. A sender
 * that stands in a queue is served by whoever receives; the select, by whoever sends.
 * Left out: timers, buffers, random choice, closing (it takes, claims and grants as a sender does). Parking and waking are those of
 * park_ready.pml. Claims are compare-and-swaps and all else is under the channels' locks, so there are no store buffers.
 *
 * Invariant: a select is claimed once; exactly one case of it fires, or it ends by its context; each value arrives once; the select's memory is
 * touched by nobody, and stands in no queue, after it has returned.
 *
 * MUTANT_1: a claim is a load and a store
 * MUTANT_2: the select leaves no queue after it was served
 * MUTANT_3: the select ends by its context without claiming itself
 * MUTANT_4: a claimed select goes on before the value has been copied (BUSY is taken for done)
 * MUTANT_5: a peer that fails to claim a select does not look at the next waiter, and throws its value away
 * MUTANT_6: the peer that passes a select over says so before its last touch of the waiter
 */
#define OPEN 0
#define BUSY 1
#define ENDED 2
#define DONE(c) (3 + (c))

bool lock[2];
byte state = ENDED;     /* sel->state */
bool in_recvq[2];       /* the select's waiter stands in the channel's receive queue */
bool waiter_queued[2];  /* w->queued */
bool alive;             /* the select's memory may be touched */
bool sender_waits[2];   /* a sender stands in the channel's send queue, with its value */
byte arrived[2];        /* how often the value of each channel's sender was received */
bool copied[2];
byte claims; /* of the select, by peers or by itself */
byte fired;
bool ended, returned;
bool sender_done[2];

inline chan_lock(c) { atomic { !lock[c] -> lock[c] = true } }
inline chan_unlock(c) { lock[c] = false }

proctype sender(byte c) {
    bool took;
    chan_lock(c);
    if
    :: in_recvq[c] -> /* chan_take */
       assert(alive);
       in_recvq[c] = false;
#ifdef MUTANT_6
       waiter_queued[c] = false;
#endif
#ifdef MUTANT_1
       if
       :: state == OPEN -> atomic { state = BUSY; took = true; claims++; assert(claims == 1) }
       :: else
       fi;
#else
       atomic {
           assert(alive);
           if
           :: state == OPEN -> state = BUSY; took = true; claims++; assert(claims == 1)
           :: else
           fi
       }
#endif
       if
       :: took ->
          atomic { assert(alive); copied[c] = true; arrived[c]++ }
          atomic { assert(alive); state = DONE(c) }; /* chan_grant */
          sender_done[c] = true
       :: else ->
          atomic { assert(alive); waiter_queued[c] = false }
#ifdef MUTANT_5
          sender_done[c] = true
#else
          sender_waits[c] = true
#endif
       fi
    :: else -> sender_waits[c] = true
    fi;
    chan_unlock(c);
    sender_done[c] -> skip
}

/* A plain receiver that comes when the select has returned; takes what waits. */
proctype receiver() {
    byte c;
    returned -> skip;
    do
    :: arrived[0] > 0 && arrived[1] > 0 -> break
    :: atomic { sender_waits[0] -> c = 0 } goto take
    :: atomic { sender_waits[1] -> c = 1 } goto take
    :: false ->
take:
       chan_lock(c);
       atomic { assert(sender_waits[c]); sender_waits[c] = false; arrived[c]++; sender_done[c] = true }
       chan_unlock(c)
    od
}

proctype selector() {
    byte c, got = 9;
    chan_lock(0);
    chan_lock(1);
    alive = true;
    if
    :: sender_waits[0] -> got = 0
    :: sender_waits[1] -> got = 1
    :: !sender_waits[0] && !sender_waits[1] -> skip
    fi;
    if
    :: got != 9 ->
       atomic { sender_waits[got] = false; arrived[got]++; copied[got] = true; sender_done[got] = true; fired++ }
       chan_unlock(1);
       chan_unlock(0);
       goto out
    :: else
    fi;
    state = OPEN;
    atomic { in_recvq[0] = true; in_recvq[1] = true; waiter_queued[0] = true; waiter_queued[1] = true }
    chan_unlock(1);
    chan_unlock(0);
    /* wait_in_queues: parked until something is to be seen */
again:
    if
#ifdef MUTANT_4
    :: state == BUSY -> got = 0
#endif
    :: atomic { state >= DONE(0) -> got = state - DONE(0) }
    :: ended && state == OPEN ->
#ifdef MUTANT_3
       atomic { state = ENDED; claims++; assert(claims == 1) }
#else
       atomic { if :: state == OPEN -> state = ENDED; claims++; assert(claims == 1) :: else -> goto again fi }
#endif
    fi;
    if
    :: got != 9 -> atomic { fired++; assert(copied[got]) }
    :: else
    fi;
#ifndef MUTANT_2
    c = 0;
    do /* leave_queues */
    :: c == 2 -> break
    :: c < 2 && (c == got || !waiter_queued[c]) -> c++
    :: c < 2 && c != got && waiter_queued[c] ->
       chan_lock(c);
       atomic { if :: waiter_queued[c] -> in_recvq[c] = false; waiter_queued[c] = false :: else fi }
       chan_unlock(c);
       c++
    od;
#endif
out:
    atomic { alive = false; assert(!in_recvq[0] && !in_recvq[1]); returned = true }
}

proctype context() { ended = true }

init {
    atomic { run selector(); run sender(0); run sender(1); run receiver(); run context() }
    returned && sender_done[0] && sender_done[1];
    assert(arrived[0] == 1 && arrived[1] == 1 && fired <= 1);
    assert(fired == 1 || state == ENDED)
}
