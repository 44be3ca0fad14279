"""After 10,000 requests that failed in many ways, descriptors, goroutines and memory are back where they were."""
import contextlib
import itertools
import socket
import struct
import threading

from harness import base_config, refusing_port, sanitized, wait_until

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a reset


def upstream(c):
    """Answers by what it is asked for; most answers are wrong."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            piece = c.recv(65536)
            if not piece:
                return
            data += piece
        target = data.split(b" ")[1]
        data = data.split(b"\r\n\r\n", 1)[1]
        if target == b"/up/ok":
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        elif target == b"/up/garbage":
            c.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            return
        elif target == b"/up/cut":
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            return
        elif target == b"/up/reset":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        elif target == b"/up/silent":
            c.recv(1)
            return
        else:
            return


REQUESTS = [
    b"GET /up/ok HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /up/drop HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /up/garbage HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /up/cut HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /up/reset HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /up/silent HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /up/ok\r\n\r\n",
    b"POST /up/ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
    b"POST /up/ok HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nnot all of it",
]
# How the client goes: reads the answer, ends its direction and reads, resets at once.
WAYS = ("read", "half", "reset")


def ask(port, data, way):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(data)
        if way == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        with contextlib.suppress(OSError):  # the gateway may reset first
            if way == "half":
                s.shutdown(socket.SHUT_WR)
            s.recv(65536)


def fail_often(port, times):
    """So many requests, from four threads at once."""
    mix = [(d, w) for d in REQUESTS for w in WAYS
           if not (w == "read" and b"1000" in d)]  # nobody would end that one
    errors = []

    def some(offset):
        try:
            for data, way in itertools.islice(itertools.cycle(mix), offset, offset + times // 4):
                ask(port, data, way)
        except Exception as e:  # told by the test, not by the thread
            errors.append(e)

    threads = [threading.Thread(target=some, args=(i * 7,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []


def test_nothing_is_left_of_ten_thousand_failures(gateway, scripted):
    s = scripted(upstream)
    config = base_config([s.port])
    config["listeners"][0]["routes"] = [
        {"name": "up", "match": {"path": "/up/*"}, "cluster": "app", "timeout": "20ms"},
        {"name": "down", "match": {"path": "/down"}, "cluster": "down"},
    ]
    config["clusters"][0]["pool"] = {"idle_timeout": "1s"}
    config["clusters"].append({"name": "down", "endpoints": ["127.0.0.1:%d" % refusing_port()]})
    g = gateway(config)

    def settled(fds=None, goroutines=None):
        """(fds, goroutines) once no connection is left but the one that asks."""

        def look():
            m = {n: v for (n, l), v in g.metrics().items() if n in
                 ("cygnet_runtime_goroutines", "cygnet_listener_connections", "cygnet_runtime_start_records")}
            open_fds = g.open_fds()
            idle = m["cygnet_listener_connections"] == 0 and g.metric("cygnet_upstream_connections") == 0
            now = (open_fds, m["cygnet_runtime_goroutines"])
            return now if idle and (fds is None or (now[0] <= fds and now[1] <= goroutines)) else None

        return wait_until(look, "connections and goroutines are gone (%r, %r)" % (fds, goroutines), 30)

    fail_often(g.port(), 10000)  # memory that is kept for use again is there: it follows the most that lived at once
    fds, goroutines = settled()
    rss, stacks = g.status("VmRSS"), g.metric("cygnet_runtime_stacks")
    fail_often(g.port(), 10000)
    settled(fds, goroutines)
    # The runtime keeps the stacks of its busiest moment for use again, each with a few pages: known, counted and bounded.
    more_stacks = g.metric("cygnet_runtime_stacks") - stacks
    assert more_stacks < 1500
    grown = g.status("VmRSS") - rss - 16 * more_stacks
    assert grown < 2048 or sanitized(), "resident memory grew by %d KiB beside %d stacks" % (grown, more_stacks)
    assert g.get("/up/ok").body == b"ok"
    assert g.stop() == 0
