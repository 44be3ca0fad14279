"""Pitfall 8: a goroutine in a system call that nobody told the runtime of keeps no other from running."""

NAME = "08-raw-system-calls"


def test_others_go_on_and_the_culprit_is_named(show):
    form = show(NAME, "Cygnet, raw call")["Cygnet, raw call"]
    assert form["read ended by"] == "the ticker"
    assert form["ticks meanwhile"] == 100
    assert form["Ps taken back"] >= 1
    assert any("08-raw-system-calls/cygnet.c:" in line for line in form.said)


def test_go_starves_unless_told(show):
    forms = show(NAME, "Go, raw call", "Go, announced")
    assert forms["Go, raw call"]["read ended by"] == "the watchdog"
    assert forms["Go, raw call"]["ticks meanwhile"] <= 5  # it may lose its turn once before the call
    assert forms["Go, announced"]["read ended by"] == "the ticker"
