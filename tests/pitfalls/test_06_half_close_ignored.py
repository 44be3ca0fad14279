"""Pitfall 6: a relay passes the end on, ends what never ends, and names a connection that was left in CLOSE_WAIT with its goroutine."""

import re

NAME = "06-half-close-ignored"
CLIENTS = 100


def test_the_end_arrives_and_so_does_the_answer(show):
    form = show(NAME, "Cygnet, end passed on")["Cygnet, end passed on"]
    assert form["questions asked"] == form["answers"] == CLIENTS
    assert form["in CLOSE_WAIT"] == form["ended by deadline"] == 0


def test_a_side_that_never_ends_is_ended(show):
    form = show(NAME, "Cygnet, no answer ever")["Cygnet, no answer ever"]
    assert form["answers"] == 0
    assert form["ended by deadline"] == CLIENTS
    assert form["in CLOSE_WAIT"] == 0


def test_what_is_left_is_named(show):
    form = show(NAME, "Cygnet, end not passed on")["Cygnet, end not passed on"]
    assert form["answers"] == 0
    assert form["in CLOSE_WAIT"] == CLIENTS
    (line,) = form.said
    assert re.search(r"nobody waits; last used by goroutine \d+, started at (ask@)?cygnet\.c:\d+", line), line


def test_go_keeps_them(show):
    forms = show(NAME, "Go, end not passed on", "Go, end passed on")
    kept, passed = forms["Go, end not passed on"], forms["Go, end passed on"]
    assert (kept["answers"], kept["in CLOSE_WAIT"]) == (0, CLIENTS)
    assert (passed["answers"], passed["in CLOSE_WAIT"]) == (CLIENTS, 0)
