"""Pitfall 13: who holds a published value sees it whole, whatever is published meanwhile; who writes to it is caught and named."""

NAME = "13-mutable-snapshot"
ROUNDS = 1000


def test_readers_see_whole_values_and_all_are_freed(show):
    form = show(NAME, "Cygnet, replaced")["Cygnet, replaced"]
    assert form["readings"] == ROUNDS
    assert form["half changed"] == 0
    assert form["values freed"] == ROUNDS
    assert form["values in memory"] == 1


def test_writer_in_place_faults_and_is_named(show):
    form = show(NAME, "Cygnet, in place")["Cygnet, in place"]  # that it ends by SIGSEGV is in its description
    assert "half changed" not in form
    (line,) = form.said
    assert 'published value of snapshot "limits"' in line
    assert "goroutine 2 (started at " in line and "13-mutable-snapshot/cygnet.c:" in line


def test_go_shows_half_a_change(show):
    form = show(NAME, "Go, in turns")["Go, in turns"]
    assert form["half changed"] == form["readings"] == ROUNDS
