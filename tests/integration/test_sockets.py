"""The gateway's own sockets by state, as metrics and as a page."""
import re
import socket
import threading

import pytest

from harness import base_config, wait_until


def labelled(g, name):
    """{the label values, sorted by label: value} of a family"""
    return {tuple(v for _, v in sorted(labels)): value for (n, labels), value in g.metrics().items() if n == name}


@pytest.fixture
def silent(scripted, ends):
    """An upstream that takes connections and does nothing with them, and the list of these."""
    held, over = [], threading.Event()

    def hold(c):
        held.append(c)
        over.wait(60)

    s = scripted(hold)
    ends.callback(over.set)
    return s, held


@pytest.mark.parametrize("source", ["netlink", "proc"])
def test_a_client_that_ends_its_side_is_seen(gateway, silent, source):
    """Half a connection: the upstream does not answer, the client has said all it will."""
    s, held = silent
    g = gateway(base_config([s.port]), env={"CYGNET_DEBUG": "nosockdiag"} if source == "proc" else {})
    with socket.create_connection(("127.0.0.1", g.port())) as c:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: held, "the request at the upstream")
        c.shutdown(socket.SHUT_WR)
        page = wait_until(lambda: (lambda p: p if "close_wait" in p else None)(g.admin_get("/debug/sockets").body.decode()),
                          "the client's end on the page")
        assert ("by /proc/net/tcp" if source == "proc" else "by netlink") in page
        assert re.search(r"^this process: .*\b1 close_wait, 2 listen$", page, re.M), page
        (line,) = re.findall(r"^  close_wait .*$", page, re.M)
        assert "127.0.0.1:%d to 127.0.0.1:%d: nobody waits; it has started conn_ready@" % (g.port(), c.getsockname()[1]) in line
        assert re.search(r"for \d+\.\d{3} s or longer, fd \d+, ", line)
        # The page has looked, so a scrape shows the same without looking again.
        assert labelled(g, "cygnet_sockets")[("close_wait",)] == 1
        assert labelled(g, "cygnet_sockets_longest_seconds")[("close_wait",)] > 0
        assert labelled(g, "cygnet_sockets_longest_seconds")[("fin_wait2",)] == 0


def test_ports_by_destination(gateway, silent):
    """Thirty requests that wait at the upstream hold thirty ports to it."""
    s, held = silent
    g = gateway(base_config([s.port]))
    clients = [socket.create_connection(("127.0.0.1", g.port())) for _ in range(30)]
    for c in clients:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: len(held) == 30, "30 requests at the upstream")
    page = g.admin_get("/debug/sockets").body.decode()
    there = "127.0.0.1 to 127.0.0.1:%d: " % s.port
    (left, all_, used, waits) = map(int, re.search(
        r"^  %s(\d+) of (\d+) left, (\d+) used, (\d+) of these in time_wait" % re.escape(there), page, re.M).groups())
    # What stands in TIME_WAIT is of another program that had the upstream's port before; it counts as left if it is given out again.
    assert used - waits == 30 and left in (all_ - 30, all_ - used)
    label = ("127.0.0.1:%d" % s.port, "127.0.0.1")
    assert labelled(g, "cygnet_ports_used")[label] == used
    assert labelled(g, "cygnet_ports_left")[label] == left
    for c in clients:
        c.close()
