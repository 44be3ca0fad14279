/* park_ready.pml: the hand-shake between a goroutine that parks and those that wake it.
 *
 * Mirrors: src/runtime/park.c cygrt_park, unpark; src/runtime/sched.h cygrt_prepare, cygrt_cancel_prepare; src/runtime/sched.c
 * cygrt_leave_to, cygrt_finish_prev.
 * Has: one goroutine, run by either of two Ms; two wakers that each make the condition true once and wake it; a late timer that
 * wakes it for no reason, at any time, twice. The wakers are not under a lock that the goroutine takes, which is the harder case.
 *
 * Invariant: who waits for a condition that has come true runs again (no lost wake-up: otherwise `init` never ends); a goroutine
 * is in at most one queue; it is never enqueued, and never begun to run, while its stack is in use.
 *
 * MUTANT_1: cygrt_prepare is a release store: it may pass the look at the condition
 * MUTANT_2: a waker enqueues a goroutine that it finds WAITING, instead of leaving it to who leaves the stack
 * MUTANT_3: PARKED is shown before the stack has been left
 * MUTANT_4: cygrt_finish_prev does not mind that somebody woke the goroutine meanwhile
 * MUTANT_5: a waker loads and stores `wait`, instead of a compare-and-swap
 * MUTANT_6: the condition is looked at before prepare and not after it
 * MUTANT_7: a waker looks at `wait` before it compares and swaps: the look may pass the store that makes the condition true
 */
#define CPUS 4 /* two Ms, two wakers; the timer stores nothing */
#define DEPTH 2
#define WORDS 3
#include "tso.h"

#define WAIT 0    /* mem[]: g->wait */
#define COND(i) (1 + i) /* mem[]: one word a waker, so that each has one writer */
#define IDLE 0
#define WAITING 1
#define PARKED 2
#define WOKEN 3

byte queued = 1;        /* in how many run queues g stands */
bool stack_used;        /* an M is on its stack */
bool resume_in_park;    /* where its saved context goes on */
byte taken;             /* how many conditions it has seen come true */
bool finished;

inline enqueue() {
    assert(queued == 0 && !stack_used);
    queued++
}

proctype M(byte me) {
    byte mine; /* what this CPU stored to g->wait last */
    byte seen;
end:
    do
    :: finished -> break
    :: atomic { queued > 0 -> queued--; assert(!stack_used); stack_used = true }
       if
       :: resume_in_park -> goto woken
       :: else
       fi;
again:
       if
       :: taken == 2 -> finished = true; break
       :: else
       fi;
#ifdef MUTANT_6
       seen = mem[COND(0)] + mem[COND(1)];
#endif
       atomic { store(me, WAIT, WAITING); mine = WAITING }
#ifndef MUTANT_1
       fence(me);
#endif
#ifndef MUTANT_6
       seen = mem[COND(0)] + mem[COND(1)];
#endif
       if
       :: seen > taken ->
          atomic { store(me, WAIT, IDLE); mine = IDLE } /* cygrt_cancel_prepare */
          taken++;
          goto again
       :: else
       fi;
       if
       :: atomic { (drained(me) && mem[WAIT] == WOKEN) -> goto woken }
       :: atomic { (!drained(me) || mem[WAIT] != WOKEN) -> skip }
       fi;
       resume_in_park = true;
#ifdef MUTANT_3
       atomic { drained(me); if :: mem[WAIT] == WAITING -> mem[WAIT] = PARKED; seen = 1 :: else -> seen = 0 fi }
       stack_used = false;
#else
       stack_used = false; /* the switch */
       atomic { drained(me); if :: mem[WAIT] == WAITING -> mem[WAIT] = PARKED; seen = 1 :: else -> seen = 0 fi }
#endif
       if
       :: seen == 1
#ifndef MUTANT_4
       :: else -> atomic { enqueue() }
#else
       :: else
#endif
       fi;
       seen = 0; mine = 0;
       goto next;
woken:
       atomic { resume_in_park = false; store(me, WAIT, IDLE); mine = IDLE }
       goto again;
next:
       skip
    od
}

inline unpark(k, flushed) {
#ifdef MUTANT_7
    s = mem[WAIT];
#else
    s = PARKED;
#endif
    do
#ifdef MUTANT_7
    :: s != WAITING && s != PARKED -> break
    :: else ->
#else
    :: true ->
#endif
#ifdef MUTANT_5
       s = mem[WAIT];
       if
       :: s == WAITING || s == PARKED -> mem[WAIT] = WOKEN; goto won
       :: else -> break
       fi
#else
       atomic {
           flushed;
           if
           :: mem[WAIT] == s -> mem[WAIT] = WOKEN; goto won
           :: else -> s = mem[WAIT]
           fi
       }
#ifndef MUTANT_7
       if
       :: s != WAITING && s != PARKED -> break
       :: else
       fi
#endif
#endif
    od;
    goto lost;
won:
    if
#ifdef MUTANT_2
    :: s == PARKED || s == WAITING -> atomic { enqueue() }
#else
    :: s == PARKED -> atomic { enqueue() }
#endif
    :: else
    fi;
lost:
    s = 0
}

proctype waker(byte i) {
    byte s;
    store(2 + i, COND(i), 1);
    unpark(i, drained(2 + i))
}

proctype late_timer() {
    byte s;
    unpark(2, true)
}

init {
    atomic {
        run drain(0); run drain(1); run drain(2); run drain(3);
        run M(0); run M(1);
        run waker(0); run waker(1);
        run late_timer(); run late_timer()
    }
    finished -> skip
}
