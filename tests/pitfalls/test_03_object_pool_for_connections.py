"""Pitfall 3: a connection pool has bounds, does not lend what the peer has ended, and closes what it opened; an object pool does none of it."""

NAME = "03-object-pool-for-connections"
REQUESTS = 100 * 64
ANSWERS = 50
OPEN = 16


def test_connections_are_bounded_used_again_and_closed(show):
    form = show(NAME, "Cygnet, cyg_connpool")["Cygnet, cyg_connpool"]
    assert form["requests"] == REQUESTS
    assert form["failed requests"] == 0
    assert form["open at most"] <= OPEN
    assert form["connections opened"] <= REQUESTS // ANSWERS + OPEN
    assert form["reuse in percent"] >= 95
    assert form["left open"] == 0


def test_go_hands_out_dead_ones_and_forgets_the_others(show):
    form = show(NAME, "Go, sync.Pool")["Go, sync.Pool"]
    guarded = show(NAME, "Cygnet, cyg_connpool")["Cygnet, cyg_connpool"]
    assert form["failed requests"] > 0
    assert form["left open"] > 0
    assert form["open at most"] > OPEN
    assert form["connections opened"] > guarded["connections opened"]
