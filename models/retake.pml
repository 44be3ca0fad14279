/* retake.pml: sysmon takes the P of an M that is stuck in a user's code, without a fence on the M's way into the runtime.
 *
 * Mirrors: the retake protocol of src/runtime: struct m's `seq` (odd inside the runtime) and `bind`, the entry into the runtime, its slow path,
 * the exit, and sysmon's two passes around membarrier.
 * Has: two Ms, two Ps and sysmon that makes two rounds over both Ps. An M goes in and out of the runtime; inside it touches
 * its P, or gives it away and takes a free one, perhaps the same; outside it may stay for ever. The real owner of each P is kept beside
 * the protocol, for judging only. A suspect is any P whose M is outside; the policy (how long, for whom) is left out: it only forbids.
 * Store buffers: every plain store of an M (seq, m->p, p->m, bind back to OWNED) may be late; membarrier waits until each was empty once.
 * In the code the hand-over of a P goes through a lock, an atomic read-modify-write on both sides.
 *
 * Invariant: a P is touched only by its owner, so never by two; no P is lost: when all have let go, both are free; an M that lost its P knows
 * it when it has entered (it touches nothing else than what it owns).
 *
 * MUTANT_1: no membarrier between sysmon's mark and its second look
 * MUTANT_2: sysmon does not look at seq again
 * MUTANT_3: the mark stands in the P, so its next owner resets it
 * MUTANT_4: sysmon looks again at neither p->m nor m->p
 * MUTANT_5: an M that finds its mark taken keeps its P by a store instead of a compare-and-swap
 * MUTANT_6: sysmon takes the P by a store instead of a compare-and-swap
 * MUTANT_7: sysmon does not take its mark back when it gives up, and takes an old mark for its own
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
#define ROUNDS 3          /* how often an M goes out */

byte owner[2];            /* who really has the P: an M, or NONE while it is free */
byte done;                /* Ms that have ended */
bool sysmon_ended;

#ifdef MUTANT_3
#define MARK BIND(p)
#else
#define MARK BIND(me)
#endif

/* The free Ps are under sched.lock, whose word is not modelled: taking one drains the buffer, as a lock does. */
inline take_free() {
    atomic {
        drained(me) && (owner[0] == NONE || owner[1] == NONE) ->
        if
        :: owner[0] == NONE -> p = 0
        :: owner[1] == NONE -> p = 1
        fi;
        owner[p] = me
    }
    store(me, MP(me), p);
    store(me, PM(p), me);
    store(me, MARK, OWNED)
}

inline give_away() {
    store(me, MP(me), NONE);
    atomic { drained(me); assert(owner[p] == me); owner[p] = NONE; p = NONE }
}

proctype M(byte me) {
    byte p = NONE, round, seq = 1; /* seq: what it stored last: it alone writes it */
    bool kept;
    take_free();
    do
    :: round < ROUNDS ->
       /* out, and in again */
       assert(owner[p] == me);
       seq++; round++;
       store(me, SEQ(me), seq);
       seq++;
       store(me, SEQ(me), seq);
       atomic { kept = mem[MARK] == OWNED } /* a plain load; sees no own store: BIND was stored before a P was used */
       if
       :: kept
       :: else ->
#ifdef MUTANT_5
          atomic { kept = mem[MARK] == RETAKING }
          if
          :: kept -> store(me, MARK, OWNED)
          :: else
          fi;
#else
          atomic {
              drained(me);
              if
              :: mem[MARK] == RETAKING -> mem[MARK] = OWNED; kept = true
              :: else -> kept = mem[MARK] == OWNED
              fi
          }
#endif
          if
          :: kept
          :: else ->
             p = NONE;
             store(me, MP(me), NONE);
             take_free()
          fi
       fi;
       kept = false;
       /* touches its P: at the beginning and at the end of a section */
       assert(owner[p] == me)
    :: round < ROUNDS -> give_away(); take_free(); round++
    :: round == ROUNDS -> break
    od;
    give_away();
    done++
}

proctype sysmon() {
    byte m[2] = NONE, seq[2], i, n;
    bool same;
    do
    :: n == 2 -> break
    :: n < 2 ->
       i = 0;
       do
       :: i == 2 -> break
       :: else ->
          m[i] = mem[PM(i)];
          i++
       od;
       n++
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
    done == 2 && sysmon_ended -> assert(owner[0] == NONE && owner[1] == NONE)
}
