"""Pitfall 1: threads are one for each P and a few, whatever the connections and goroutines; accept is called on events only."""

NAME = "01-thread-per-connection"
PROCS = 2
CONSTANT = 6  # main thread, monitor, poller of last resort, a few in calls that block


def test_threads_do_not_grow_with_connections(show):
    form = show(NAME, "Cygnet, a goroutine each")["Cygnet, a goroutine each"]
    n = form["connections answered"]
    assert n == 200
    assert form["threads"] <= PROCS + CONSTANT
    assert form["goroutines in the end"] > n + 10000
    assert form["threads in the end"] <= PROCS + CONSTANT
    assert form["clone3 calls"] + form["clone calls"] <= PROCS + CONSTANT
    # Each connection is an event, seen by one P or, when both are idle, by two; each ends on an empty queue.
    assert n <= form["accept4 calls"] <= 3 * n + 10


def test_a_thread_each_grows(show):
    form = show(NAME, "C, a thread each")["C, a thread each"]
    assert form["connections answered"] == 200
    assert form["threads"] >= 200
    assert form["clone3 calls"] + form["clone calls"] >= 200
