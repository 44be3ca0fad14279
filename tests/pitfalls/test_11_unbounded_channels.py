"""Pitfall 11: a channel holds what it has room for; what finds none is refused and counted, or waits; a backlog that only grows is
reported with the channel's name."""

NAME = "11-unbounded-channels"
JOBS = 10000
ROOM = 64


def test_what_finds_no_room_is_refused_and_counted(show):
    form = show(NAME, "Cygnet, refuse")["Cygnet, refuse"]
    assert form["jobs offered"] == JOBS
    assert form["most at once"] == ROOM
    taken = JOBS - form["jobs refused"] - form["jobs waiting"]
    assert JOBS // 100 - 1 <= taken <= JOBS // 100


def test_who_sends_waits_for_room(show):
    form = show(NAME, "Cygnet, wait")["Cygnet, wait"]
    assert form["jobs offered"] == JOBS
    assert form["jobs refused"] == 0
    assert form["most at once"] <= ROOM


def test_backlog_that_only_grows_is_named(show):
    form = show(NAME, "Cygnet, hoard")["Cygnet, hoard"]
    assert form["growth reported"] == "yes"
    assert any('channel "jobs" (made at ' in line and "11-unbounded-channels/cygnet.c:" in line for line in form.said)


def test_go_piles_up_goroutines(show):
    form = show(NAME, "Go, go send")["Go, go send"]
    assert form["jobs waiting"] >= JOBS - JOBS // 100
