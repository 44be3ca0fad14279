"""One thread a processor, whatever the connections; and accept is called when there is something to accept."""
import re
import resource
import signal
import socket
import subprocess
import os

import pytest

from harness import base_config, wait_until

PROCS = 2
CONSTANT = 6  # monitor, poller of last resort, a thread or two for blocking calls


def connections_possible():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return min(10000, soft - 500)


def test_ten_thousand_connections_take_no_threads(gateway, app):
    a = app()
    n = connections_possible()
    config = base_config([a.port])
    config["listeners"][0]["timeouts"] = {"idle": "10m"}
    g = gateway(config, env={"CYGNET_MAXPROCS": str(PROCS)})
    conns = []
    try:
        for i in range(n):
            s = socket.create_connection(("127.0.0.1", g.port()), timeout=20)
            conns.append(s)
            if i % 20 == 0:  # some have served a request, most are only open
                s.sendall(b"GET /status?code=204 HTTP/1.1\r\nHost: a\r\n\r\n")
                assert s.recv(4096).startswith(b"HTTP/1.1 204")
        wait_until(lambda: g.metric("cygnet_listener_connections", listener="web") == n, "all are accepted")
        assert g.status("Threads") <= PROCS + CONSTANT
        assert g.metric("cygnet_runtime_goroutines") < 50
        assert g.metric("cygnet_runtime_start_records") >= n
        for s in conns[::100]:  # and each of them still works
            s.sendall(b"GET /status?code=204 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert s.recv(4096).startswith(b"HTTP/1.1 204")
    finally:
        for s in conns:
            s.close()
    wait_until(lambda: g.metric("cygnet_listener_connections", listener="web") == 0, "all are gone")
    assert g.stop() == 0


def test_accept_is_called_on_events_only(gateway, app, tmp_path):
    a = app()
    counts = tmp_path / "strace.txt"
    try:
        subprocess.run(["strace", "-o", "/dev/null", "true"], check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("strace cannot trace here")
    g = gateway(base_config([a.port]), prefix=["strace", "-f", "-c", "-o", str(counts)],
                env={"CYGNET_MAXPROCS": str(PROCS)})
    n = 200
    for _ in range(n):
        with socket.create_connection(("127.0.0.1", g.port()), timeout=20) as s:
            s.sendall(b"GET /status?code=204 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert s.recv(4096).startswith(b"HTTP/1.1 204")
    scrapes = 1
    accepted = g.metric("cygnet_listener_connections_total", listener="web")
    os.kill(g.pid, signal.SIGTERM)
    assert g.process.wait(20) == 0
    calls = {"accept4": 0, "clone3": 0, "clone": 0}
    for line in counts.read_text().splitlines():
        m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if m and m.group(2) in calls:
            calls[m.group(2)] += int(m.group(1))
    assert accepted == n
    # Each connection is an event, seen by one processor or, when both are idle, by two; each ends on an empty queue.
    assert n <= calls["accept4"] <= 3 * (n + scrapes) + 10, calls
    assert calls["clone3"] + calls["clone"] <= PROCS + CONSTANT, calls
