"""The pool of an endpoint: its limits of time, its counters, connections kept ready, and no socket left in TIME_WAIT."""

import socket

from harness import base_config, wait_until

TIME_WAIT = "06"


def time_waits(port):
    """Local addresses of sockets in TIME_WAIT with this port on either side."""
    tag = ":%04X" % port
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f][1:]
    return {(r[1], r[2]) for r in rows if r[3] == TIME_WAIT and (r[1].endswith(tag) or r[2].endswith(tag))}


def test_waiting_has_a_limit_of_its_own(gateway, app):
    a = app()
    config = base_config([a.port])
    config["clusters"][0]["pool"] = {"max_connections": 1, "wait_timeout": "20ms"}
    g = gateway(config)
    with socket.create_connection(("127.0.0.1", g.port())) as one:
        one.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: a.counts.get("/slow") == 1, "the first request is upstream")
        r = g.get("/echo")
        assert (r.status, r.field("x-cygnet-reason")) == (503, "upstream_overflow")
        assert g.metric("cygnet_upstream_connections", state="active") == 1
        a.hold.set()
        one.settimeout(20)
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
    assert g.metric("cygnet_upstream_wait_failures_total", reason="timeout") == 1
    assert g.metric("cygnet_upstream_overflows_total") == 0
    assert g.metric("cygnet_upstream_waits_total") == g.metric("cygnet_upstream_wait_seconds_count") == 1
    assert g.metric("cygnet_upstream_wait_seconds_bucket", le="0.016384") == 0
    assert g.metric("cygnet_upstream_wait_seconds_bucket", le="+Inf") == 1
    assert 0.02 <= g.metric("cygnet_upstream_wait_seconds_sum")


def test_loans_reuses_and_closes_are_counted(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    for _ in range(20):
        assert g.get("/echo").status == 200
    assert g.metric("cygnet_upstream_loans_total") == 20
    assert g.metric("cygnet_upstream_reuses_total") == 20 - g.metric("cygnet_upstream_dials_total")
    assert g.get("/until-close?n=10").status == 200
    wait_until(lambda: g.metric("cygnet_upstream_closes_total", reason="finished") == 1, "the connection is closed")
    assert g.metric("cygnet_upstream_closes_total") == 1


def test_some_connections_are_kept_ready(gateway, app):
    a = app()
    config = base_config([a.port])
    config["clusters"][0]["pool"] = {"min_idle": 3}
    g = gateway(config)
    wait_until(lambda: g.metric("cygnet_upstream_connections", state="idle") == 3, "three are idle before the first request")
    assert g.get("/echo").status == 200
    assert g.metric("cygnet_upstream_loans_total") == 1


def test_idle_connections_leave_no_time_wait(gateway, app):
    a = app()
    config = base_config([a.port])
    config["clusters"][0]["pool"] = {"idle_timeout": "10ms"}
    before = time_waits(a.port)
    g = gateway(config)
    for i in range(1, 11):
        assert g.get("/echo").status == 200
        wait_until(lambda: g.metric("cygnet_upstream_closes_total", reason="idle_timeout") == i, "the idle connection is closed")
    assert time_waits(a.port) <= before
