"""Pitfall 2: what a scope starts ends with it and gives its connection back; what leaks is reported with its start site and connections."""

NAME = "02-goroutine-leaks"
CLIENTS = 100


def test_scope_leaves_nothing(show):
    form = show(NAME, "Cygnet, in a scope")["Cygnet, in a scope"]
    assert form["clients served"] == CLIENTS
    assert form["woken by close or cancel"] == CLIENTS
    assert form["goroutines left"] == 0
    assert form["connections left"] == 0


def test_leak_is_named_with_what_it_holds(show):
    form = show(NAME, "Cygnet, leaks")["Cygnet, leaks"]
    assert form["goroutines left"] == form["connections left"] == CLIENTS
    assert form["most come from"].startswith("read_for_ever@cygnet.c:")
    said = "\n".join(form.said)
    assert f"{CLIENTS} goroutines [chan send, " in said and form["most come from"] in said
    assert f"{CLIENTS} connections, ended by the peer and not closed" in said


def test_go_leaks_in_silence(show):
    form = show(NAME, "Go, leaks")["Go, leaks"]
    assert form["goroutines left"] == form["connections left"] == CLIENTS
    assert form.said == []
