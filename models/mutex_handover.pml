/* mutex_handover.pml: the mutex: free with competition, or handed over to who has waited too long.
 *
 * Mirrors: include/cygnet/sync.h cyg_mutex_lock, cyg_mutex_unlock; src/sync/mutex.c lock_slow, must_wait, cyg_waitq_wait,
 * cyg_mutex_unlock_slow.
 * Has: three goroutines that take and free the lock; the first does so twice, the last gives up when its context ends. Parking
 * and waking are those that park_ready.pml shows to lose nothing. At any time at which the lock is held, whoever stands first in the
 * queue may have waited too long; who came before it has then waited too long, too. (Time passes while qlock is free.)
 * Left out: spinning before the queue (it only tries the lock again), store buffers (each store is ordered by qlock or is a
 * compare-and-swap).
 *
 * Invariant: one holder at a time; nobody waits while the lock is free (otherwise `init` never ends); once somebody starves, nobody who
 * came after it gets the lock before it; at the end the lock is free and the queue empty.
 * Found: a lock that is free when somebody begins to starve can still be taken once by a newcomer, hence the words "at which the
 * lock is held" above; that newcomer's unlock hands it over.
 *
 * MUTANT_1: WAITERS is not set before queueing, so the holder's unlock does not look at the queue
 * MUTANT_2: the unlock frees the lock without waking anybody
 * MUTANT_3: a starving waiter is only woken, not handed the lock
 * MUTANT_4: who gives up does not look whether it was granted meanwhile
 * MUTANT_5: an unlock clears WAITERS though others wait
 * MUTANT_6: the queue is looked at and joined under different holds of qlock
 */
#define N 3
#define NOBODY 7

bool locked, waiters; /* the two bits of m->state */
bool qlock;
chan queue = [N] of { byte };
byte granted[N]; /* w->granted: 0, 1 woken, 2 handed over */
byte since[N];          /* when it came, as a number */
byte arrivals;
byte starving = NOBODY; /* has waited too long and does not hold the lock yet */
#define starves(x) (starving != NOBODY && since[x] > 0 && since[x] <= since[starving])
bool ended; /* the context of the one that may give up */
byte holders, done;

inline take_it() {
    assert(starving == NOBODY || starves(me));
    if :: starving == me -> starving = NOBODY :: else fi;
    since[me] = 0;
    holders++;
    assert(holders == 1)
}

inline spin_lock() { atomic { !qlock -> qlock = true } }
inline spin_unlock() { qlock = false }

proctype G(byte me; byte rounds; bool gives_up) {
    byte w, i;
    bool again, over, gave_up, more;
    do
    :: rounds == 0 -> break
    :: else ->
       rounds--;
       atomic { /* cyg_mutex_lock: from 0, and 0 only */
           if
           :: !locked && !waiters -> locked = true; take_it(); goto held
           :: else
           fi
       }
       do /* lock_slow */
       :: spin_lock();
#ifdef MUTANT_6
          atomic { if :: locked -> waiters = true; more = true :: else -> locked = true; take_it(); more = false fi }
          spin_unlock();
          if :: !more -> goto held :: else -> more = false fi;
          spin_lock();
#else
          atomic { /* must_wait */
              if
#ifdef MUTANT_1
              :: locked -> skip
#else
              :: locked -> waiters = true
#endif
              :: else -> locked = true; take_it(); qlock = false; goto held
              fi
          }
#endif
          atomic {
              granted[me] = 0;
              if
              :: !again -> queue!me; arrivals++; since[me] = arrivals
              :: again -> /* to the front */
                 i = len(queue);
                 queue!me;
                 do
                 :: i == 0 -> break
                 :: else -> queue?w; queue!w; i--
                 od;
                 w = 0
              fi;
              again = true
          }
          spin_unlock();
          /* cyg_waitq_wait */
          if
          :: granted[me] != 0
          :: atomic { gives_up && ended -> over = true }
          fi;
          if
          :: over ->
             over = false;
#ifdef MUTANT_4
             if :: gave_up = true fi;
             spin_lock();
#else
             spin_lock();
             atomic { if :: granted[me] == 0 -> gave_up = true :: else fi }
#endif
             if
             :: gave_up ->
                atomic { if :: queue??[eval(me)] -> queue??eval(me) :: else fi; if :: starving == me -> starving = NOBODY :: else fi; since[me] = 0 }
                spin_unlock();
                gave_up = false;
                goto next
             :: else -> spin_unlock()
             fi
          :: else
          fi;
          if
          :: granted[me] == 2 -> atomic { take_it(); goto held } /* it is still locked, for us */
          :: else
          fi
       od;
held:
       atomic { again = false; assert(locked) }
       atomic { /* cyg_mutex_unlock */
           holders--;
           if
           :: locked && !waiters -> locked = false; goto next
           :: else
           fi
       }
       spin_lock(); /* cyg_mutex_unlock_slow */
       atomic {
           assert(locked);
           if
           :: len(queue) > 0 -> queue?w
           :: else -> w = NOBODY
           fi;
#ifdef MUTANT_3
           over = false;
#else
           over = w != NOBODY && starves(w);
#endif
#ifdef MUTANT_5
           more = false
#else
           more = len(queue) > 0
#endif
       }
       atomic { locked = over; waiters = more; more = false }
#ifndef MUTANT_2
       if
       :: w != NOBODY -> granted[w] = 1 + over
       :: else
       fi;
#endif
       atomic { over = false; w = 0 }
       spin_unlock();
next:
       again = false
    od;
    done++
}

proctype clock() {
    byte w;
end:
    do
    :: atomic { !qlock && locked && starving == NOBODY && len(queue) > 0 -> queue?<w>; starving = w; w = 0 }
    :: atomic { !ended -> ended = true }
    od
}

init {
    atomic { run G(0, 2, false); run G(1, 1, false); run G(2, 1, true); run clock() }
    done == N;
    assert(!locked && len(queue) == 0 && holders == 0 && starving == NOBODY)
}
