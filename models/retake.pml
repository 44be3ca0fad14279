/* retake.pml: sysmon takes the P of an M that is stuck in a user's code, without a fence on the M's way into the runtime.
 *
 * Mirrors: src/runtime/sched.h cygrt_enter, cygrt_exit; src/runtime/retake.c cygrt_enter_slow, mark, barrier, settle, cygrt_retake_round;
 * src/runtime/sched.c wait_for_p, cygrt_leave_to and become as far as they store m->p, p->m and m->curg.
 * Has: two Ms, two Ps and sysmon, whose rounds mark any of the Ps, make one barrier for all and settle all; the barrier may be refused. An M
 * goes in and out of the runtime; inside it touches its P, or gives it away and takes a free one, perhaps the same, for another
 * goroutine; outside it may stay for ever. Whoever lost its P goes on without, in and out, until it waits for one. The real owner of each P and
 * the goroutine that each M really runs are kept beside the protocol, for judging only. A suspect is any P whose M is outside; the
 * policy (how long, for whom) is left out: it only forbids.
 * Store buffers: every plain store of an M (seq, m->p, p->m, bind back to OWNED) may be late; membarrier waits until each was empty once.
 * In the code the hand-over of a P goes through a lock, an atomic read-modify-write on both sides.
 *
 * Invariant: a P is touched only by its owner, so never by two; no P is lost: when all have let go, both are free; an M that lost its P knows
 * it when it has entered (it touches nothing else than what it owns); the goroutine that sysmon names is the one that was outside.
 *
 * Found: with the look at m->p, that at p->m is not needed: spin -DNO_PM leaves it out, and the model holds.
 * It holds with two of sysmon's rounds, too (-DLOOKS=2).
 *
 * MUTANT_1: no membarrier between sysmon's mark and its second look
 * MUTANT_2: sysmon does not look at seq again
 * MUTANT_3: the mark stands in the P, so its next owner resets it
 * MUTANT_4: sysmon does not look at m->p again
 * MUTANT_5: an M that finds its mark taken keeps its P by a store instead of a compare-and-swap
 * MUTANT_6: sysmon takes the P by a store instead of a compare-and-swap
 * MUTANT_7: sysmon looks for the goroutine when it has taken the P
 */
#define CPUS 2
#define DEPTH 4
#define WORDS 10
#include "tso.h"

#define SEQ(m) (m)        /* mem[]: m->seq */
#define MP(m) (2 + (m))   /* m->p */
#define PM(p) (4 + (p))   /* p->m */
#define BIND(x) (6 + (x)) /* m->bind; p->bind in MUTANT_3 */
#define CURG(m) (8 + (m)) /* m->curg; one of two */
#define NONE 3            /* no M, no P */
#define OWNED 0
#define RETAKING 1
#define LOST 2
#ifndef LOOKS
#define LOOKS 1           /* sysmon's rounds */
#endif
#define ROUNDS 2          /* how often the first M goes out or changes its P; the second once less */

bool running[2];          /* which goroutine each M really runs */
byte owner[2];            /* who really has the P: an M, or NONE while it is free */
byte done;                /* Ms that have ended */
bool sysmon_ended;

#ifdef MUTANT_3
#define MARK BIND(p)
#define SUSPECT BIND(i)
#else
#define MARK BIND(me)
#define SUSPECT BIND(m)
#endif

/* The free Ps are under sched.lock, whose word is not modelled: taking one drains the buffer, as a lock does. */
inline take_free() {
    atomic {
        drained(me) && (owner[0] == NONE || owner[1] == NONE) ->
        if
        :: owner[0] == NONE -> p = 0
        :: owner[1] == NONE -> p = 1
        fi;
        owner[p] = me;
        store(me, MP(me), p);
        store(me, PM(p), me);
        running[me] = !running[me];
        store(me, CURG(me), running[me]);
#ifdef MUTANT_3
        store(me, MARK, OWNED)
#endif
    }
}

inline give_away() {
    atomic { drained(me); assert(owner[p] == me); mem[MP(me)] = NONE; owner[p] = NONE; p = NONE }
}

/* Out into the user's code and in again. */
inline excursion() {
    atomic { assert(p == NONE || owner[p] == me); seq++; store(me, SEQ(me), seq) }
    atomic { seq++; store(me, SEQ(me), seq) }
    if
    :: pending(me, MARK, OWNED) || mem[MARK] == OWNED
    :: atomic { !(pending(me, MARK, OWNED) || mem[MARK] == OWNED) -> skip }
#ifdef MUTANT_5
       if
       :: atomic { mem[MARK] != LOST -> skip }
          store(me, MARK, OWNED)
       :: atomic { mem[MARK] == LOST -> lost = true }
       fi;
#else
       atomic {
           drained(me);
           if
           :: mem[MARK] == RETAKING -> mem[MARK] = OWNED
           :: mem[MARK] == LOST -> lost = true
           :: mem[MARK] == OWNED /* sysmon gave up meanwhile */
           fi
       }
#endif
       if
       :: lost -> atomic { mem[MP(me)] = NONE; p = NONE; lost = false; store(me, MARK, OWNED) }
       :: else
       fi
    fi;
    assert(p == NONE || owner[p] == me) /* what it touches now is its own */
}

proctype M(byte me) {
    byte p = NONE, round = me, seq = 1; /* seq: what it stored last; nobody else writes it */
    bool lost;
    take_free();
    do
    :: round < ROUNDS -> round++; excursion()
    :: round < ROUNDS && p != NONE -> round++; give_away(); take_free()
    :: p == NONE -> take_free() /* when its goroutine parks */
    :: round == ROUNDS -> break
    od;
    if
    :: p != NONE -> give_away()
    :: else
    fi;
    done++
}

/* Pass 1, of P i: suspect[i] is its M, or NONE. */
inline mark(i) {
    atomic {
        m = NONE;
        if
        :: mem[PM(i)] != NONE -> m = mem[PM(i)]; seq[i] = mem[SEQ(m)]
        :: true
        fi
    }
    atomic {
        if
        :: m != NONE && seq[i] % 2 == 0 && mem[SUSPECT] == OWNED -> mem[SUSPECT] = RETAKING; suspect[i] = m
        :: else -> seq[i] = 0
        fi
    }
}

/* Pass 2: takes it, or lets go. */
inline settle(i) {
    m = suspect[i];
    if
    :: m == NONE -> goto settled
    :: m != NONE && !may_take -> goto let_go
    :: else
    fi;
#ifndef NO_PM
    atomic { if :: mem[PM(i)] == m :: else -> goto let_go fi }
#endif
#ifndef MUTANT_4
    atomic { if :: mem[MP(m)] == i :: else -> goto let_go fi }
#endif
#ifndef MUTANT_2
    atomic { if :: mem[SEQ(m)] == seq[i] :: else -> goto let_go fi }
#endif
    g = mem[CURG(m)];
    atomic {
        if
#ifdef MUTANT_6
        :: true ->
#else
        :: mem[SUSPECT] == RETAKING ->
#endif
           mem[SUSPECT] = LOST;
           assert(owner[i] == m)
#ifdef MUTANT_7
        :: else -> goto settled
        fi
    }
    atomic {
        if
        :: g = mem[CURG(m)];
#endif
           assert(g == running[m]);
           mem[PM(i)] = NONE;
           owner[i] = NONE /* others may take it now */
#if !defined(MUTANT_6) && !defined(MUTANT_7)
        :: else
#endif
        fi;
        goto settled
    }
let_go:
    atomic { if :: mem[SUSPECT] == RETAKING -> mem[SUSPECT] = OWNED :: else fi }
settled:
    atomic { suspect[i] = NONE; m = NONE; g = 0; seq[i] = 0 }
}

proctype sysmon() {
    byte m = NONE, n, i, seq[2], suspect[2] = NONE;
    bool g, may_take;
    do
    :: n == LOOKS -> break
    :: n < LOOKS ->
       n++;
       mark(0);
       mark(1);
#ifdef MUTANT_1
       may_take = true;
#else
       if
       :: atomic { drained(0) -> may_take = true }
          drained(1)
       :: may_take = false
       fi;
#endif
       i = 0;
       do
       :: i < 2 -> settle(i); i++
       :: i == 2 -> break
       od;
       may_take = false
    od;
    sysmon_ended = true
}

init {
    atomic {
        owner[0] = NONE; owner[1] = NONE;
        mem[SEQ(0)] = 1; mem[SEQ(1)] = 1;
        mem[MP(0)] = NONE; mem[MP(1)] = NONE; mem[PM(0)] = NONE; mem[PM(1)] = NONE;
        run drain(0); run drain(1); run M(0); run M(1); run sysmon()
    }
    done == 2 && sysmon_ended;
    assert(owner[0] == NONE && owner[1] == NONE)
}
