/* retake.pml: sysmon takes the P of an M that is stuck in a user's code, without a fence on the M's way into the runtime.
 *
 * Mirrors: the retake protocol of src/runtime: struct m's `seq` (odd inside the runtime) and `bind`, the entry into the runtime, its slow path,
 * the exit, and sysmon's two passes around membarrier.
 * Has: two Ms, two Ps and sysmon that twice suspects one of the Ps. An M goes in and out of the runtime; inside it touches
 * its P, or gives it away and takes a free one, perhaps the same; outside it may stay for ever. The real owner of each P is kept beside
 * the protocol, for judging only. A suspect is any P whose M is outside; the policy (how long, for whom) is left out: it only forbids.
 * Store buffers: every plain store of an M (seq, m->p, p->m, bind back to OWNED) may be late; membarrier waits until each was empty once.
 * In the code the hand-over of a P goes through a lock, an atomic read-modify-write on both sides.
 *
 * Invariant: a P is touched only by its owner, so never by two; no P is lost: when all have let go, both are free; an M that lost its P knows
 * it when it has entered (it touches nothing else than what it owns).
 *
 * Found: with the look at m->p, that at p->m is not needed: spin -DNO_PM leaves it out, and the model holds.
 *
 * MUTANT_1: no membarrier between sysmon's mark and its second look
 * MUTANT_2: sysmon does not look at seq again
 * MUTANT_3: the mark stands in the P, so its next owner resets it
 * MUTANT_4: sysmon does not look at m->p again
 * MUTANT_5: an M that finds its mark taken keeps its P by a store instead of a compare-and-swap
 * MUTANT_6: sysmon takes the P by a store instead of a compare-and-swap
 */
#define CPUS 2
#define DEPTH 4
#define WORDS 8
#include "tso.h"

#define SEQ(m) (m)        /* mem[]: m->seq */
#define MP(m) (2 + (m))   /* m->p */
#define PM(p) (4 + (p))   /* p->m */
#define BIND(x) (6 + (x)) /* m->bind; p->bind in MUTANT_3 */
#define NONE 3            /* no M, no P */
#define OWNED 0
#define RETAKING 1
#define LOST 2
#define ROUNDS 2          /* how often the first M goes out or changes its P; the second once less */

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
    atomic { assert(owner[p] == me); seq++; store(me, SEQ(me), seq) }
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
       :: lost ->
          mem[MP(me)] = NONE;
          take_free();
          atomic { lost = false; store(me, MARK, OWNED) }
       :: else
       fi
    fi;
    assert(owner[p] == me) /* what it touches now is its own */
}

proctype M(byte me) {
    byte p = NONE, round = me, seq = 1; /* seq: what it stored last; nobody else writes it */
    bool lost;
    take_free();
    do
    :: round < ROUNDS -> round++; excursion()
    :: round < ROUNDS -> round++; give_away(); take_free()
    :: round == ROUNDS -> break
    od;
    give_away();
    done++
}

proctype sysmon() {
    byte m = NONE, seq, i, n;
    do
    :: n == 2 -> break
    :: atomic { n < 2 -> n++; if :: i = 0 :: i = 1 fi }
       /* first pass: the mark */
       atomic { m = mem[PM(i)]; if :: m == NONE -> goto next :: else fi }
       seq = mem[SEQ(m)];
       atomic {
           if
           :: seq % 2 == 0 && mem[SUSPECT] == OWNED -> mem[SUSPECT] = RETAKING
           :: else -> goto next
           fi
       }
#ifndef MUTANT_1
       drained(0); /* membarrier */
       drained(1);
#endif
       /* second pass: takes it, or gives up */
#ifndef NO_PM
       atomic { if :: mem[PM(i)] == m :: else -> goto give_up fi }
#endif
#ifndef MUTANT_4
       atomic { if :: mem[MP(m)] == i :: else -> goto give_up fi }
#endif
#ifndef MUTANT_2
       atomic { if :: mem[SEQ(m)] == seq :: else -> goto give_up fi }
#endif
       atomic {
           if
#ifdef MUTANT_6
           :: true ->
#else
           :: mem[SUSPECT] == RETAKING ->
#endif
              mem[SUSPECT] = LOST;
              assert(owner[i] == m);
              mem[PM(i)] = NONE;
              owner[i] = NONE /* others may take it now */
#ifndef MUTANT_6
           :: else
#endif
           fi;
           goto next
       }
give_up:
       atomic { if :: mem[SUSPECT] == RETAKING -> mem[SUSPECT] = OWNED :: else fi }
next:
       atomic { m = NONE; seq = 0; i = 0 }
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
