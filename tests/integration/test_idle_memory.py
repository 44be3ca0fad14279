"""An idle keep-alive connection holds neither goroutine nor buffer: 5,000 of them cost little memory and all still answer."""
import contextlib
import socket

from harness import base_config, sanitized, wait_until

CONNECTIONS = 5000
AT_ONCE = 50  # that ask at the same time
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def ask_all(sockets):
    """One request on each, some at a time. Returns how many answered."""
    good = 0
    for i in range(0, len(sockets), AT_ONCE):
        some = sockets[i:i + AT_ONCE]
        for s in some:
            s.sendall(REQUEST)
        for s in some:
            data = b""
            while not data.endswith(b"nginx\n"):
                piece = s.recv(4096)
                assert piece, data
                data += piece
            good += data.startswith(b"HTTP/1.1 200 ")
    return good


def connect(port, stack, n):
    sockets = []
    for _ in range(n):
        s = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        sockets.append(s)
    return sockets


def test_idle_connections_hold_neither_goroutine_nor_buffer(gateway, nginx, ends):
    g = gateway(base_config([nginx().port]))
    port = g.port()
    with contextlib.ExitStack() as stack:  # memory that is kept for use again is there
        ask_all(connect(port, stack, AT_ONCE))
    wait_until(lambda: g.metric("cygnet_listener_connections") == 0, "the first connections are gone")

    def upstream():
        return g.metric("cygnet_upstream_connections")

    def look():
        m = g.metrics()
        return {n: v for (n, _), v in m.items() if n in ("cygnet_runtime_goroutines", "cygnet_runtime_start_records")}

    before, rss = look(), g.status("VmRSS")
    records = before["cygnet_runtime_start_records"] - upstream()
    sockets = connect(port, ends, CONNECTIONS)
    assert ask_all(sockets) == CONNECTIONS

    def settled():
        now = look()
        return now if now["cygnet_runtime_start_records"] - upstream() - records == CONNECTIONS else None

    now = wait_until(settled, "every connection is a start record")
    grown = (g.status("VmRSS") - rss) * 1024 / CONNECTIONS
    print("%d idle connections: %g goroutines (%g before), %.0f bytes resident each" %
          (CONNECTIONS, now["cygnet_runtime_goroutines"], before["cygnet_runtime_goroutines"], grown))
    assert now["cygnet_runtime_goroutines"] <= before["cygnet_runtime_goroutines"]
    assert grown < 2048 or sanitized()
    assert ask_all(sockets) == CONNECTIONS
    for s in sockets:
        s.close()
    wait_until(lambda: g.metric("cygnet_listener_connections") == 0, "all connections are gone")
    assert g.stop() == 0
