"""Pitfall 12: below a context that has ended nothing begins, goes on or keeps a timer; timers that are left are told."""

NAME = "12-nested-timeouts"
CALLERS = 100


def test_nothing_outlives_the_request(show):
    form = show(NAME, "Cygnet, nested")["Cygnet, nested"]
    assert form["calls in flight"] == CALLERS
    assert form["timers meanwhile"] == 1  # the request's own
    assert form["callers that gave up"] == 2 * CALLERS
    assert form["calls begun after the end"] == 0
    assert form["calls still in flight"] == 0
    assert form["timers left"] == 0
    assert form.said == []


def test_timers_left_are_told(show):
    form = show(NAME, "Cygnet, detached")["Cygnet, detached"]
    assert form["calls still in flight"] == form["timers left"] == 2 * CALLERS
    (line,) = form.said
    assert line.startswith(f"{2 * CALLERS} timers pending, would start context_deadline in ")


def test_go_goes_on(show):
    form = show(NAME, "Go, context of its own")["Go, context of its own"]
    assert form["calls begun after the end"] == CALLERS
    assert form["calls still in flight"] == 2 * CALLERS
