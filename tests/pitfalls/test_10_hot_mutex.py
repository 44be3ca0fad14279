"""Pitfall 10: the pool's common path takes no lock, so one who dials holds up nobody; where a lock does hold others up, the profile names it."""

NAME = "10-hot-mutex"
REQUESTS = 48


def test_who_dials_holds_up_nobody(show):
    form = show(NAME, "Cygnet, cyg_connpool")["Cygnet, cyg_connpool"]
    assert form["served while one dialled"] == REQUESTS - 1
    assert form["behind the lock meanwhile"] == 0


def test_a_lock_that_holds_others_up_is_named(show):
    form = show(NAME, "Cygnet, one cyg_mutex")["Cygnet, one cyg_mutex"]
    assert form["behind the lock meanwhile"] == REQUESTS - 1
    assert form["named in the profile"] == "yes"


def test_go_queues_behind_one_lock(show):
    form = show(NAME, "Go, one sync.Mutex")["Go, one sync.Mutex"]
    assert form["served while one dialled"] == 0
    assert form["behind the lock meanwhile"] == REQUESTS - 1
