/* close_read.pml: a connection is closed while others read it, and its memory begins another life.
 *
 * Mirrors: src/net/fdlock.c fdlock_acquire, fdlock_release, fdlock_close, fdlock_unuse, sleep_for_side, wake_side; src/net/conn.c
 * read_some, conn_close, conn_finish, cyg_conn_release; src/runtime/poller/pd.c cygrt_pd_wait, cygrt_pd_check, wake_slot, fire,
 * cygrt_pd_evict, cygrt_pd_register, cygrt_pd_unregister; src/runtime/poller/epoll.c dispatch.
 * Has: a goroutine that reads until it hears of the close, or leaves after a byte and closes, too; then it takes the freed memory for a
 * connection of its own, and reads a byte from that. One that is inside and waits for a byte when all begins, and leaves with it or with
 * ECLOSED; it has no reference. One that closes, at any time or when what was sent has been read. A byte and its event in each
 * life, from pollers on other threads. A read deadline that passes at any time, told by its timer; who hears of it waits again.
 * Left out: the writing side and its slot, records, contexts, when the timer is armed, `drained` (who is told of an error
 * waits again at once, without a read: the harder case). Parking is that of park_ready.pml; in the queue for the side, it is just waiting.
 * Store buffers: of `closing`, in the closer; all else is a compare-and-swap, or under a lock.
 *
 * Invariant: every reader comes back from a closed connection, with ECLOSED, and every byte that was sent before the close is read (otherwise
 * `init` never ends); nobody uses a descriptor that has been closed, and it is closed once; nobody touches the memory
 * without a reference to that life; an event or deadline of a former life wakes for no reason, and takes no wake-up away.
 * Found: that needs no tag: spin -DNO_TAG leaves out dispatch's look at it, and the model holds. The tag spares spurious wake-ups, and
 * records spurious starts.
 *
 * MUTANT_1: a reader does not look at `closing` again when it stands in the slot
 * MUTANT_2: evict's store of `closing` may pass its look at the slot
 * MUTANT_3: evict does not wake who stands in the slot
 * MUTANT_4: fdlock_close wakes nobody who waits for the side
 * MUTANT_5: who closes closes the descriptor, though others use it
 * MUTANT_6: who closes is no user itself
 * MUTANT_7: a wake-up for a side that finds nobody in the queue yet is not kept
 * MUTANT_8: a reader that is told of an error forgets the event that took it out of the slot
 * MUTANT_9: an event that finds nobody is not kept
 * MUTANT_10: an event is put into the slot by a store instead of a compare-and-swap
 * MUTANT_11: a reader says that it waits after it has put itself into the slot
 * MUTANT_12: close takes no reference for the descriptor
 * MUTANT_13: register empties the slot when the kernel knows the descriptor already
 */
#define CPUS 1 /* the closer's */
#define DEPTH 1
#define WORDS 1
#include "tso.h"

#define CLOSING 0 /* mem[]: pd->closing */
#define NIL 0     /* pd->slot[READ] */
#define READY 1
#define G(i) (2 + (i))
#define NONE 7
#define IDLE 0 /* g->wait */
#define WAITING 1
#define WOKEN 2
#define ECLOSED 1 /* what cygrt_pd_check returns */
#define ETIMEDOUT 2

bool closed, locked = true; /* of the fdlock's word, one side */
byte users = 1, waiters;
chan queue = [2] of { byte }; /* under qlock, which covers one step everywhere */
byte passes;
bool granted[2];
byte refs = 2;
byte life = 1; /* of the memory; 0: free */
bool fd_open = true, data, heard; /* the descriptor; a byte in it; the first byte was read */
byte slot, gwait[2];
byte tag = 1;
bool expired; /* the deadline has passed */
byte done;

/* Also the last touch of a waiter. */
inline wake_side() {
    atomic {
        assert(life == mine);
        if
        :: queue?v -> granted[v] = true
#ifndef MUTANT_7
        :: empty(queue) -> passes++
#else
        :: empty(queue)
#endif
        fi;
        v = 0
    }
}

/* One step, at its compare-and-swap; if there is nothing to do, at its load. */
inline wake_slot(event) {
#ifdef MUTANT_10
    v = slot;
#endif
    atomic {
#ifndef MUTANT_10
        v = slot;
#endif
        if
        :: v == READY || (v == NIL && !event) -> v = NIL
#ifdef MUTANT_9
        :: v == NIL && event
#else
        :: v == NIL && event -> slot = READY
#endif
        :: v >= G(0) -> slot = NIL
        fi
    }
    if
    :: v >= G(0) -> atomic { if :: gwait[v - G(0)] == WAITING -> gwait[v - G(0)] = WOKEN :: else fi; v = 0 } /* cygrt_unpark_tail */
    :: else
    fi
}

/* cygrt_pd_check, of a reader: closing is no store of its own. */
inline check() {
    atomic {
        if
        :: mem[CLOSING] -> err = ECLOSED
        :: !mem[CLOSING] && expired -> err = ETIMEDOUT
        :: else -> err = 0
        fi
    }
}

inline unref() { atomic { assert(life == mine); refs--; if :: refs == 0 -> assert(closed && !fd_open); life = 0 :: else fi } }

/* conn_finish, but for the descriptor's reference */
inline finish() {
    atomic { assert(life == mine); tag++ }
#ifndef MUTANT_5
    atomic { assert(fd_open && users == 0); fd_open = false; data = false }
#endif
}

inline conn_close() {
    atomic { /* fdlock_close */
        if
        :: closed -> goto was_closed
        :: else ->
           closed = true;
#ifndef MUTANT_6
           users++;
#endif
           n = waiters;
           waiters = 0
        fi
    }
#ifdef MUTANT_4
    n = 0;
#endif
    do
    :: n > 0 -> wake_side(); n--
    :: else -> break
    od;
#ifndef MUTANT_12
    refs++;
#endif
    atomic { assert(life == mine); store(0, CLOSING, true) } /* cygrt_pd_evict */
#ifndef MUTANT_2
    fence(0);
#endif
#ifndef MUTANT_3
    wake_slot(false);
#endif
#ifdef MUTANT_5
    atomic { fd_open = false; data = false }
#endif
#ifdef MUTANT_6
    last = users == 0;
#else
    atomic { assert(life == mine); users--; last = users == 0 } /* fdlock_unuse */
#endif
    if
    :: last ->
       finish();
#ifndef MUTANT_12
       atomic { assert(life == mine && refs > 1); refs-- } /* its own is left */
#endif
    :: else
    fi;
was_closed:
    unref()
}

/* Has a reference, which it gives up. */
proctype closer(bool at_once) {
    byte v, n, mine = 1;
    bool last;
    if
    :: at_once
    :: heard || closed
    fi;
    conn_close()
}

proctype reader(byte me) {
    byte err, v, n, mine = 1;
    bool last;
    if
    :: me == 1 -> goto wait
    :: else
    fi;
acquire:
    do
    :: atomic { closed -> assert(life == mine); goto told }
    :: atomic { !closed && !locked -> assert(life == mine); locked = true; users++; goto wait } /* `drained` to begin with */
    :: atomic { !closed && locked -> assert(life == mine); waiters++ }
       atomic { /* sleep_for_side */
           assert(life == mine);
           if
           :: passes > 0 -> passes--
           :: else -> granted[me] = false; queue!me; goto asleep
           fi
       }
       goto awake;
asleep:
       granted[me] -> skip;
awake:
       skip
    od;
read:
    atomic { /* read_some */
        assert(fd_open && life == mine);
        if
        :: data ->
           data = false;
           heard = true;
           if
           :: goto release
           :: mine == 1 && me == 0
           fi
        :: else
        fi
    }
    /* cygrt_pd_wait */
wait:
    atomic {
        if
        :: slot == READY -> slot = NIL; goto taken
        :: else -> assert(slot == NIL)
        fi;
#ifndef MUTANT_11
        gwait[me] = WAITING /* cygrt_prepare; an unpark between the two would do nothing */
#endif
    }
    atomic {
        if
        :: slot == NIL -> slot = G(me)
        :: else -> gwait[me] = IDLE; goto wait
        fi
    }
#ifdef MUTANT_11
    gwait[me] = WAITING;
#endif
#ifndef MUTANT_1
    check();
#else
    err = 0;
#endif
    atomic {
        if
        :: err == 0 && gwait[me] == WOKEN -> gwait[me] = IDLE /* cygrt_park */
        :: err != 0 -> gwait[me] = IDLE
        fi;
        if
        :: slot == G(me) && err != 0 -> slot = NIL; goto failed
        :: slot == G(me) && err == 0 -> slot = NIL; goto wait
        :: else
        fi
    }
taken:
    check();
    if
    :: err ->
#ifndef MUTANT_8
       atomic { if :: slot == NIL -> slot = READY :: else fi }
#endif
failed:
       atomic {
           if
           :: err == ETIMEDOUT -> err = 0; expired = false; goto wait /* a later deadline */
           :: else -> assert(closed); err = 0; goto release
           fi
       }
    :: else -> goto read
    fi;
release:
    atomic {
        assert(life == mine && locked && users > 0);
        locked = false;
        users--;
        n = waiters > 0;
        waiters = waiters - n;
        last = closed && users == 0
    }
    if
    :: n -> wake_side(); n = 0
    :: else
    fi;
    if
    :: last ->
       last = false;
       finish();
#ifndef MUTANT_12
       unref()
#endif
    :: else
    fi;
    if
    :: mine == 2 || me == 1 -> goto out
    :: else
    fi;
told:
    run closer(true);
    /* The memory's next life: conn_new, cygrt_pd_register. */
    atomic {
        life == 0 ->
        assert(!locked && users == 0 && waiters == 0 && empty(queue) && passes == 0);
        life = 2;
        mine = 2;
        refs = 1;
        closed = false
    }
#ifndef MUTANT_13
    atomic { assert(slot == NIL || slot == READY); slot = NIL }
#endif
    atomic { expired = false; mem[CLOSING] = false; tag++ }
    fd_open = true;
#ifdef MUTANT_13
    slot = NIL;
#endif
    goto acquire;
out:
    done++
}

/* A byte comes, and its event, which a poller takes and brings to the slot. What has not been taken when the descriptor is closed is gone. */
proctype poller(byte when) {
    byte v, its;
    if
    :: atomic { life == when && fd_open -> data = true; its = tag }
    :: atomic { when == 1 && !(life == 1 && fd_open) -> goto out }
    fi;
    atomic {
        if
        :: !(life == when && fd_open) -> goto out
        :: else
        fi
    }
#ifndef NO_TAG
    if
    :: tag != its -> goto out
    :: else
    fi;
#endif
    wake_slot(true);
out:
    skip
}

/* The deadline passes; its timer may come late. */
proctype timer() {
    byte v;
    expired = true;
    wake_slot(false)
}

init {
    atomic { run drain(0); run reader(0); run reader(1); if :: run closer(true) :: run closer(false) fi; run poller(1); run poller(2); run timer() }
    done == 2;
    assert(life == 2 && fd_open && !data)
}
