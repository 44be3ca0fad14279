"""Pitfall 7: small writes leave in few, a large one leaves with what is buffered, uncopied; an idle writer holds no buffer."""

NAME = "07-torn-buffers"
MIB = 1 << 20
MESSAGES, HEAD, BODY = 200, 100, 6000


def sends(form):
    return form["sendto calls"] + form["sendmsg calls"]


def test_a_mebibyte_of_small_writes_leaves_in_few(show):
    form = show(NAME, "Cygnet")["Cygnet"]
    assert form["bytes received"] == MIB
    assert form["writes handed down"] <= 32
    # A write that finds the socket full is tried again when there is room.
    assert form["writes handed down"] <= sends(form) <= 2 * form["writes handed down"]
    assert form["times it grew"] == 6
    assert form["buffers held when idle"] == 0


def test_messages_leave_whole_and_their_bodies_uncopied(show):
    form = show(NAME, "Cygnet, messages")["Cygnet, messages"]
    assert form["bytes received"] == MESSAGES * (HEAD + BODY)
    assert form["writes handed down"] == MESSAGES
    assert form["sendmsg calls"] >= MESSAGES
    assert form["bytes copied"] == MESSAGES * HEAD
    assert form["times it grew"] == 0


def test_go_tears(show):
    forms = show(NAME, "Go, 128 bytes", "Go, default", "Go, messages")
    assert forms["Go, 128 bytes"]["writes handed down"] == 8192 <= forms["Go, 128 bytes"]["write calls"]
    assert forms["Go, default"]["writes handed down"] == 256
    assert forms["Go, messages"]["writes handed down"] == 2 * MESSAGES
