/* watch_input.pml: a copy that cannot write takes input out of its source's events; who waits for input puts it back.
 *
 * Mirrors: src/runtime/poller/pd.c cygrt_pd_unwatch, watch, cygrt_pd_wait, wake_slot; epoll's edges.
 * Has: a copy that stops watching twice, as one does at each step behind a slow receiver; a reader
 * that reads two bytes and waits when there is none; a peer that sends them. All accesses are sequentially consistent, so memory
 * is not modelled.
 *
 * Invariant: the reader gets both bytes: what arrives while somebody waits for input makes an event (otherwise `init` never ends).
 *
 * MUTANT_1: unwatch does not look at the slot after it has told the kernel
 * MUTANT_2: the waiter looks whether input is watched before it stands in the slot
 * MUTANT_3: unwatch looks before it tells the kernel
 * MUTANT_4: unwatch looks at the slot only: who came and went meanwhile has taken the mark away
 * MUTANT_5: who waits does not look whether input is watched
 */
#define NIL 0
#define READY 1
#define G 2

byte slot = NIL;
bool unwatched = false;
bool armed = true; /* input is among the events that the kernel tells of */
byte input = 0;    /* bytes in the socket */
byte got = 0;

inline arm() { atomic { armed = true; if :: input > 0 -> slot = READY :: else fi } }

inline watch() {
    if
    :: unwatched ->
       atomic { was = unwatched; unwatched = false }
       if
       :: was -> arm()
       :: else
       fi
    :: else
    fi
}

inline look() {
#ifdef MUTANT_4
    again = (slot == G)
#else
    again = (slot == G);
    again = (again || !unwatched)
#endif
}

inline unwatch() {
    atomic { was = unwatched; unwatched = true }
    if
    :: !was ->
       again = false;
#ifdef MUTANT_3
       look();
#endif
       armed = false;
#ifndef MUTANT_1
#ifndef MUTANT_3
       look();
#endif
#endif
       if
       :: again -> unwatched = false; arm()
       :: else
       fi
    :: else
    fi
}

proctype copy() {
    bool was, again;
    unwatch();
    unwatch()
}

proctype reader() {
    bool was;
    do
    :: got == 2 -> break
    :: got < 2 ->
       if
       :: atomic { input > 0 -> input--; got++ }
       :: atomic { input == 0 -> skip }
#ifdef MUTANT_2
          watch();
#endif
          if
          :: atomic { slot == READY -> slot = NIL } /* an event came in between: read again */
          :: atomic { slot == NIL -> slot = G }
#ifndef MUTANT_2
#ifndef MUTANT_5
             watch();
#endif
#endif
             atomic { slot == READY -> slot = NIL } /* parked until then */
          fi
       fi
    od
}

proctype peer() {
    atomic { input++; if :: armed -> slot = READY :: else fi }
    atomic { input++; if :: armed -> slot = READY :: else fi }
}

init {
    atomic { run copy(); run reader(); run peer() }
    got == 2 -> skip
}
