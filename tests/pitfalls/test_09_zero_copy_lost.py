"""Pitfall 9: copies go by sendfile through wrappers that change nothing; what is copied says why, in few reads."""

import pytest

NAME = "09-zero-copy-lost"
MIB = 1 << 20
BUFFER = 1024  # what a buffered reader holds of a file when one byte was looked at
PASSING = {"plain": (MIB, 0), "multi": (MIB + 4, 0), "limit": (MIB - 1, 0), "buffered": (MIB, BUFFER), "wrapped": (MIB, 0)}


@pytest.mark.parametrize("form", PASSING)
def test_wrappers_that_change_nothing_keep_sendfile(show, form):
    received, held = PASSING[form]
    form = show(NAME, f"Cygnet, {form}")[f"Cygnet, {form}"]
    assert form["bytes received"] == received
    assert form["went by"] == "sendfile" and form["why not faster"] == "none"
    assert form["through a buffer"] == held
    assert form["sendfile calls"] >= 1
    assert form["preadv2 calls"] <= 2 * form["sendfile calls"] + 1  # whether it is in memory
    assert form.get("bytes the wrapper counted", received) == received


def test_what_changes_bytes_is_copied_in_few_reads_and_says_so(show):
    form = show(NAME, "Cygnet, changed")["Cygnet, changed"]
    assert form["bytes received"] == form["through a buffer"] == MIB
    assert form["went by"] == "buffer" and form["why not faster"] == "source"
    assert form["sendfile calls"] == 0
    assert form["reads of the wrapper"] <= 8


def test_go_loses_it_in_silence(show):
    forms = show(NAME, "Go, plain", "Go, wrapped")
    assert forms["Go, plain"]["sendfile calls"] >= 1
    assert forms["Go, wrapped"]["sendfile calls"] == 0
    assert forms["Go, wrapped"]["write calls"] >= 32
