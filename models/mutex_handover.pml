/* mutex_handover.pml: the mutex: free with competition, or handed over to who has waited too long.
 *
 * Mirrors: include/cygnet/sync.h cyg_mutex_lock, cyg_mutex_unlock; src/sync/mutex.c take, must_wait, lock_slow, let_go, pass_on;
 * src/sync/waiter.c cyg_waitq_wait.
 * Has: three goroutines that take and free the lock; two do so twice, the last gives up when its context ends. Parking
 * and waking are those that park_ready.pml shows to lose nothing. At any time at which the lock is held and no woken waiter is on its
 * way, whoever stands first in the queue may have waited too long. (Time passes while qlock is free.)
 * Left out: spinning before the queue (it only tries the lock again); claimed waiters (no mutex claims); store buffers (each store
 * is ordered by qlock or is a compare-and-swap); the marks of attempts that fail (held with marks is held: an unlock that finds one
 * does the same by let_go, and a mark that pass_on overwrites belongs to one who has yet to come to take).
 *
 * Invariant: one holder at a time; nobody waits while the lock is free and nobody is on its way (otherwise `init` never ends); at
 * most one woken waiter is on its way, and WOKEN stands for it; once somebody starves, nobody gets the lock before it; at the
 * end the lock is free and the queue empty; an unlock that nobody waited for does not touch the mutex once it is free, since
 * the next holder may free its memory.
 * Found: a lock that is free when somebody begins to starve can still be taken by newcomers, and so it can as long as a woken waiter
 * is on its way, hence the words "held and no woken waiter is on its way" above; the next unlock then hands it over.
 *
 * MUTANT_1: WAITERS is not set before queueing, so the holder's unlock does not look at the queue
 * MUTANT_2: the unlock frees the lock without waking anybody
 * MUTANT_3: a starving waiter is only woken, not handed the lock
 * MUTANT_4: who gives up does not look whether it was granted meanwhile
 * MUTANT_5: an unlock clears WAITERS though others wait
 * MUTANT_6: the queue is looked at and joined under different holds of qlock
 * MUTANT_7: an unlock wakes another waiter though one is on its way
 * MUTANT_8: a woken waiter that goes back to the queue leaves WOKEN set
 * MUTANT_9: a woken waiter that takes the lock leaves WOKEN set
 * MUTANT_10: a newcomer that takes the lock clears WOKEN, which is not its own
 * MUTANT_11: the unlock stores the state after it has let qlock go
 * MUTANT_12: must_wait clears WOKEN in a step of its own, after it has set WAITERS
 * MUTANT_13: an unlock that finds the queue empty frees the lock while it holds qlock
 */
#define N 3
#define NOBODY 7

bool locked, waiters, woken; /* what m->state says */
bool qlock;
chan queue = [N] of { byte };
byte granted[N];        /* w->granted: 0, 1 woken, 2 handed over */
byte starving = NOBODY; /* has waited too long and does not hold the lock yet */
bool ended;             /* the context of the one that may give up */
byte on_way;            /* woken waiters that have neither taken the lock nor gone back to the queue */
byte holders, done;
byte leaving;           /* have freed the lock for nobody in particular and have qlock yet to let go */

inline take_it() {
    assert(starving == NOBODY || starving == me);
    starving = NOBODY;
    locked = true;
    holders++;
    assert(holders == 1)
}

/* Takes the lock, which is free. */
inline take_free() {
    take_it();
    if
    :: again ->
       on_way--;
#ifndef MUTANT_9
       woken = false
#endif
    :: else ->
#ifdef MUTANT_10
       woken = false
#endif
    fi
}

/* What must_wait does while the lock is held. */
inline to_queue() {
#ifndef MUTANT_1
    waiters = true;
#endif
#if !defined(MUTANT_8) && !defined(MUTANT_12)
    if :: again -> on_way--; woken = false :: else fi
#else
    skip
#endif
}

inline spin_lock() { atomic { !qlock -> qlock = true } }
inline spin_unlock() { qlock = false }

proctype G(byte me; byte rounds; bool gives_up) {
    byte w, i;
    bool again, over, more; /* again: the variable woken of lock_slow */
    do
    :: rounds == 0 -> break
    :: else ->
       rounds--;
       do /* cyg_mutex_lock, lock_slow */
       :: atomic { /* take */
              if
              :: !locked -> take_free(); goto held
              :: else
              fi
          }
          spin_lock();
#ifdef MUTANT_6
          atomic { if :: locked -> to_queue() :: else -> take_free(); qlock = false; goto held fi }
          spin_unlock();
          spin_lock();
#else
          atomic { /* must_wait */
              if
              :: locked -> to_queue()
              :: else -> take_free(); qlock = false; goto held
              fi
          }
#endif
          atomic {
              granted[me] = 0;
              if
              :: !again -> queue!me
              :: again -> /* to the front */
#ifdef MUTANT_8
                 on_way--;
#endif
#ifdef MUTANT_12
                 on_way--;
                 woken = false;
#endif
                 i = len(queue);
                 queue!me;
                 do
                 :: i == 0 -> break
                 :: else -> queue?w; queue!w; i--
                 od;
                 w = 0
              fi;
              again = false
          }
          spin_unlock();
          if /* cyg_waitq_wait */
          :: granted[me] != 0
          :: atomic { gives_up && ended -> skip }
             spin_lock();
             atomic {
                 if
#ifdef MUTANT_4
                 :: true ->
#else
                 :: granted[me] == 0 ->
#endif
                    if :: queue??[eval(me)] -> queue??eval(me) :: else fi;
                    if :: starving == me -> starving = NOBODY :: else fi;
                    qlock = false;
                    goto next
#ifndef MUTANT_4
                 :: else -> qlock = false
#endif
                 fi
             }
          fi;
          atomic {
              if
              :: granted[me] == 2 -> take_it(); goto held /* it is still locked, for us */
              :: else -> again = true
              fi
          }
       od;
held:
       again = false;
       holders--;
let_go:
       atomic { /* cyg_mutex_unlock, let_go */
           assert(locked);
           if
           :: !waiters && !woken -> locked = false; assert(leaving == 0); goto next
#ifndef MUTANT_7
           :: woken -> locked = false; goto next
           :: waiters && !woken
#else
           :: waiters || woken
#endif
           fi
       }
       spin_lock();
       atomic {
           assert(locked);
           if
           :: len(queue) > 0 -> queue?w
           :: else -> w = NOBODY
           fi;
#ifdef MUTANT_3
           over = false;
#else
           over = w != NOBODY && w == starving;
#endif
#ifdef MUTANT_5
           more = false
#else
           more = len(queue) > 0
#endif
       }
#ifdef MUTANT_11
       spin_unlock();
#endif
       atomic { /* pass_on */
#ifdef MUTANT_13
           locked = over;
           if :: w == NOBODY -> leaving++ :: else fi;
#else
           locked = over || w == NOBODY;
#endif
           waiters = more;
           woken = w != NOBODY && !over;
           more = false;
           if
           :: woken -> on_way++; assert(on_way == 1)
           :: else
           fi
       }
#ifndef MUTANT_2
       if
       :: w != NOBODY -> granted[w] = 1 + over
       :: else
       fi;
#endif
#ifndef MUTANT_11
       spin_unlock();
#endif
#ifdef MUTANT_13
       if :: w == NOBODY -> leaving-- :: else fi;
#else
       if
       :: w == NOBODY -> over = false; w = 0; goto let_go
       :: else
       fi;
#endif
       atomic { over = false; w = 0 }
next:
       again = false
    od;
    done++
}

proctype clock() {
end:
    do
    :: atomic { !qlock && locked && !woken && starving == NOBODY && len(queue) > 0 -> queue?<starving> }
    :: atomic { !ended -> ended = true }
    od
}

init {
    atomic { run G(0, 2, false); run G(1, 2, false); run G(2, 1, true); run clock() }
    done == N;
    assert(!locked && !woken && len(queue) == 0 && holders == 0 && on_way == 0 && starving == NOBODY)
}
