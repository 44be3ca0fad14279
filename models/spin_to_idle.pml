/* spin_to_idle.pml: work is submitted while Ps go to sleep.
 *
 * Mirrors: src/runtime/sched.c enqueue_global (cygrt_enqueue_on without a P), cygrt_wake_one, find_runnable, sleep_in_poller, any_work,
 * start_spinning, stop_spinning, steal, help; src/runtime/poller/epoll.c cygrt_poll, dispatch, cygrt_poller_notify; src/runtime/sysmon.c
 * look_around, cygrt_sysmon_main, cygrt_sysmon_poke.
 * Has: two Ps with their Ms, sysmon, a foreign thread that submits a task. That queues another on its own P and then computes until
 * somebody else has run that one: another P must come to it. spin -DTASKS=2 submits two; it holds, and takes a dozen times as long.
 * Left out: timers, next slots, and cygrt_maybe_wake with those who call it (wake_for_old, clock_of, cygrt_poll, the last spinner): it
 * reads without a fence and may miss a sleeper; it saves latency, and sysmon is what nobody is lost by. A tick of sysmon is a step that
 * is possible when it would do something. A lone P (nprocs == 1) looks at less, and needs what MUTANT_2 and MUTANT_7 take away.
 * Weaker than the code: the stores that go before the two fences, and the length of the global queue, are plain stores. In the code they are
 * atomic read-modify-writes, on x86 as good as fences; here the fences are all there is.
 *
 * Invariant: every task runs (otherwise `init` never ends): no P sleeps, unnotified or with its bell taken by another, while work
 * stands in the global queue or behind a goroutine that does not come back.
 *
 * MUTANT_1: cygrt_enqueue has no fence between putting the task and looking for sleepers
 * MUTANT_2: sleep_in_poller has no fence between showing itself asleep and looking at the queues again
 * MUTANT_3: sleep_in_poller does not look at the queues again
 * MUTANT_4: who polls another P's descriptors (help) and takes its bell does not ring it again
 * MUTANT_5: a P that woke does not poke sysmon out of its deep sleep
 * MUTANT_6: sysmon does not look at the Ps again after it has shown itself in deep sleep
 * MUTANT_7: a P that woke shows itself awake by a plain store, which its look at sysmon_deep may pass
 */
#define CPUS 3 /* two Ms, the foreign thread */
#define DEPTH 2
#define WORDS 8
#include "tso.h"
#ifndef TASKS
#define TASKS 1
#endif

#define SLEEP(p) (p)      /* mem[]: p->sleep */
#define IDLE(p) (2 + (p)) /* its bit in idle_mask */
#define PUT 4 /* tasks ever put into the global queue; glen is this less those taken. sched.lock is left out: */
#define TAKEN 5 /* it keeps the two apart, and a store to PUT is seen before the lock is */
#define TAIL(p) (6 + (p)) /* p's ring; its head is taken by compare-and-swap */
#define AWAKE 0
#define ASLEEP 1
#define NOTIFIED 2

byte head[2];
byte nspinning;
bool poll_lock[2];
bool bell[2]; /* an event of p's eventfd that nobody has taken */
bool deep;    /* sysmon_deep */
bool have_hog, helped;
#if TASKS > 1
bool ran_other;
#endif
#if TASKS > 1
#define finished (helped && ran_other)
#else
#define finished helped
#endif
#define queued(p) (mem[TAIL(p)] > head[p])

/* Rings the first sleeper that is still asleep when its turn comes. */
inline wake_one() {
    i = 0;
    do
    :: i == 2 -> break
    :: i < 2 && mem[IDLE(i)] == 0 -> i++
    :: i < 2 && mem[IDLE(i)] != 0 ->
       atomic {
           if
           :: mem[SLEEP(i)] == ASLEEP -> mem[SLEEP(i)] = NOTIFIED; got = true
           :: else -> i++
           fi
       }
       if
       :: got -> bell[i] = true; break
       :: else
       fi
    od;
    got = false
}

proctype foreign() { /* two submissions */
    byte n, i;
    bool got;
    do
    :: n == TASKS -> break
    :: else ->
       store(2, PUT, n + 1);
#ifndef MUTANT_1
       fence(2);
#endif
       wake_one();
       n++
    od
}

/* The first task in the global queue leaves work on its own P and computes until another P has done it. */
inline run_global() {
    if
    :: atomic { !have_hog -> have_hog = true }
       mem[TAIL(me)] = 1; /* after others may have gone to sleep */
       helped -> skip
#if TASKS > 1
    :: atomic { else -> ran_other = true }
#endif
    fi
}

proctype M(byte me) {
    bool spinning, got, until_now;
#define other (1 - me)
next:
    do
    :: finished -> break
    :: atomic {
           drained(me) && mem[PUT] > mem[TAKEN] -> mem[TAKEN] = mem[TAKEN] + 1; /* cygrt_global_get */
           if :: spinning -> spinning = false; nspinning-- :: else fi
       }
       run_global()
    :: atomic {
           !finished && mem[PUT] == mem[TAKEN] ->
           if
           :: spinning
           :: !spinning && nspinning == 0 -> spinning = true; nspinning++
           :: !spinning && nspinning > 0 -> goto to_sleep
           fi
       }
       if
       :: atomic { queued(other) -> head[other]++; spinning = false; nspinning--; helped = true; goto next } /* steal */
       :: atomic { !queued(other) -> skip } /* nothing; it polled a moment ago, or has no descriptors */
       :: atomic { !queued(other) && !poll_lock[other] -> poll_lock[other] = true; got = bell[other]; bell[other] = false } /* help */
          atomic {
              poll_lock[other] = false;
#ifndef MUTANT_4
              if :: got -> bell[other] = true; got = false :: else fi
#else
              got = false
#endif
          }
       fi;
to_sleep:
       /* sleep_in_poller */
       store(me, SLEEP(me), ASLEEP);
       store(me, IDLE(me), 1);
       atomic { if :: spinning -> spinning = false; nspinning-- :: else fi }
#ifndef MUTANT_2
       fence(me);
#endif
#ifndef MUTANT_3
       if
       :: mem[PUT] > mem[TAKEN] -> until_now = true
       :: else -> until_now = queued(other)
       fi;
#endif
       if
       :: atomic { poll_lock[me] -> until_now = false }
       :: atomic { !poll_lock[me] -> poll_lock[me] = true }
          atomic { (bell[me] || until_now || finished) -> bell[me] = false; poll_lock[me] = false; until_now = false }
       fi;
#ifdef MUTANT_7
       store(me, SLEEP(me), AWAKE);
       store(me, IDLE(me), 0);
       deep = false
#else
       atomic { /* one step: each is sequentially consistent */
           drained(me);
           if
           :: mem[SLEEP(me)] == NOTIFIED && nspinning == 0 -> spinning = true; nspinning++
           :: else
           fi;
           mem[SLEEP(me)] = AWAKE;
           mem[IDLE(me)] = 0
#ifndef MUTANT_5
           ; deep = false
#endif
       }
#endif
    od
}

proctype sysmon() {
    bool up;
    do
    :: finished -> break
    :: d_step {
           nspinning == 0 && (mem[PUT] > mem[TAKEN] || (mem[SLEEP(0)] == AWAKE && queued(0)) || (mem[SLEEP(1)] == AWAKE && queued(1))) &&
               ((mem[IDLE(0)] != 0 && mem[SLEEP(0)] == ASLEEP) || (mem[IDLE(1)] != 0 && mem[SLEEP(1)] == ASLEEP)) ->
               if
               :: mem[IDLE(0)] != 0 && mem[SLEEP(0)] == ASLEEP -> mem[SLEEP(0)] = NOTIFIED; bell[0] = true
               :: else -> mem[SLEEP(1)] = NOTIFIED; bell[1] = true
               fi
       }
    :: mem[SLEEP(0)] != AWAKE && mem[SLEEP(1)] != AWAKE ->
       deep = true;
#ifndef MUTANT_6
       if
       :: mem[SLEEP(0)] == AWAKE -> up = true
       :: else -> up = mem[SLEEP(1)] == AWAKE
       fi;
#endif
       if
       :: up
       :: else -> !deep || finished
       fi;
       deep = false;
       up = false
    od
}

init {
    atomic { run drain(0); run drain(1); run drain(2); run M(0); run M(1); run foreign(); run sysmon() }
    finished -> skip
}
