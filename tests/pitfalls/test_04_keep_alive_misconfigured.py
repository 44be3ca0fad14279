"""Pitfall 4: the pool keeps what it dialled from round to round: connections are as many as requests at once, TIME_WAIT is 0."""

NAME = "04-keep-alive-misconfigured"
ROUNDS, AT_ONCE = 5, 20


def test_connections_are_kept(show):
    form = show(NAME, "Cygnet, defaults")["Cygnet, defaults"]
    assert form["requests"] == ROUNDS * AT_ONCE
    assert form["connections made"] == form["ports taken"] == AT_ONCE
    assert form["in TIME_WAIT"] == 0


def test_go_throws_them_away_unless_told(show):
    forms = show(NAME, "Go, defaults", "Go, pool sized")
    thrown, kept = forms["Go, defaults"], forms["Go, pool sized"]
    assert thrown["requests"] == kept["requests"] == ROUNDS * AT_ONCE
    # Two idle ones are kept a host; a request may also take over a dial that another no longer needs.
    assert thrown["connections made"] > 2 * AT_ONCE
    assert thrown["in TIME_WAIT"] > AT_ONCE
    assert kept["connections made"] < 2 * AT_ONCE
