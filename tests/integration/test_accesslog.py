"""The access log of the running gateway: its fields, hostile bytes, a reader that does not read, and rotation."""
import datetime
import json
import os
import re
import subprocess
import threading
import time

from harness import base_config, raw, request, wait_until

KEYS = {"start_time", "method", "path", "protocol", "response_code", "response_flags", "response_code_details",
        "bytes_received", "bytes_sent", "duration", "upstream_service_time", "x_forwarded_for", "user_agent", "request_id",
        "authority", "upstream_host", "upstream_cluster", "downstream_local_address", "downstream_remote_address",
        "route_name", "listener", "config_version", "upstream_request_attempt_count"}


def lines(g, name="access.log"):
    path = os.path.join(g.directory, name)
    if not os.path.exists(path):
        return []
    with open(path, "rb") as f:
        return [json.loads(line) for line in f.read().decode("utf-8").splitlines()]


def test_fields_of_a_request(gateway, app):
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log"}))
    request(g.port(), "POST", "/echo?q=1", {"Host": "shop.example.com", "User-Agent": "probe/1", "X-Request-Id": "id-7"}, b"12345")
    (line,) = wait_until(lambda: lines(g), "a line")
    assert KEYS <= set(line)
    want = {"method": "POST", "path": "/echo?q=1", "protocol": "HTTP/1.1", "response_code": 200, "response_flags": "-",
            "response_code_details": "via_upstream", "bytes_received": 5, "x_forwarded_for": "127.0.0.1",
            "user_agent": "probe/1", "request_id": "id-7", "authority": "shop.example.com",
            "upstream_host": "127.0.0.1:%d" % a.port, "upstream_cluster": "app", "route_name": "all", "listener": "web",
            "downstream_local_address": "127.0.0.1:%d" % g.port(), "config_version": "v1",
            "upstream_request_attempt_count": 1}
    assert {k: line[k] for k in want} == want
    assert line["bytes_sent"] > 0 and line["duration"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["start_time"])
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line["downstream_remote_address"])


def test_start_time_is_the_wall_clock_s(gateway, app):
    """Also of a request that is answered in another second than it began in, and of those after it."""
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log", "flush_interval": "1ms"}))
    spans = []

    def ask(path):
        begin = time.time()
        request(g.port(), "GET", path)
        spans.append((begin, time.time()))

    ask("/echo")
    second = int(time.time())
    slow = threading.Thread(target=ask, args=("/slow",))
    slow.start()
    wait_until(lambda: int(time.time()) > second + 1, "the second is over")
    a.hold.set()
    slow.join()
    ask("/echo")
    got = wait_until(lambda: [x for x in [lines(g)] if len(x) == len(spans)], "all lines")[0]
    # Each P has a buffer of its own, so the lines' order is not that of the answers.
    for line, (begin, end) in zip(sorted(got, key=lambda line: line["start_time"]), sorted(spans)):
        start = datetime.datetime.fromisoformat(line["start_time"].replace("Z", "+00:00")).timestamp()
        assert begin - 0.1 <= start <= end - line["duration"] / 1000 + 0.1


def test_a_refused_request_has_no_bytes_of_the_one_before(gateway, app):
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log"}))
    raw(g.port(), b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/9.9\r\nHost: a\r\n\r\n")
    got = wait_until(lambda: [x for x in [lines(g)] if len(x) == 2], "two lines")[0]
    assert [(x["response_code_details"], x["bytes_received"]) for x in got] == [("via_upstream", 5), ("unsupported_version", 0)]


def test_hostile_bytes_cannot_break_a_line(gateway, app):
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log"}))
    agent = b'"\\\x80\xff{"response_code":200}' + b"x" * 9000
    out = raw(g.port(), b"GET /echo?\"}{ HTTP/1.1\r\nHost: a\r\nUser-Agent: " + agent + b"\r\nConnection: close\r\n\r\n")
    assert out
    raw(g.port(), b"GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    got = wait_until(lambda: [x for x in [lines(g)] if len(x) == 2], "two lines")[0]
    with open(os.path.join(g.directory, "access.log"), "rb") as f:
        assert max(map(len, f.read().split(b"\n"))) <= 4096
    first = next(x for x in got if x["path"] != "/after")
    assert first["user_agent"] is None or first["user_agent"].startswith('"\\')


def test_a_log_that_nobody_reads_stops_no_request_and_drops_are_counted(gateway, app):
    a = app()
    config = base_config([a.port], access_log={"path": "stdout", "buffer_bytes": "4KiB", "flush_interval": "1ms"})
    g = gateway(config, stdout=subprocess.PIPE)  # the pipe holds 64 KiB
    n = 600
    for i in range(n):
        assert g.get("/status?code=200&" + "x" * 500).status == 200
    wait_until(lambda: g.metric("cygnet_access_log_dropped_total") > 0, "drops are counted")
    dropped = g.metric("cygnet_access_log_dropped_total")
    os.kill(g.pid, 15)
    written = [json.loads(line) for line in g.process.stdout.read().decode().splitlines()]
    assert g.process.wait(20) == 0
    assert len(written) + dropped == n


def test_rotation_by_hangup_loses_no_line(gateway, app):
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log", "flush_interval": "1ms"}))
    total = 0
    for i in range(5):
        for _ in range(20):
            assert g.get("/echo?%d" % total).status == 200
            total += 1
        os.rename(os.path.join(g.directory, "access.log"), os.path.join(g.directory, "old%d.log" % i))
        assert g.reload()
        wait_until(lambda: os.path.exists(os.path.join(g.directory, "access.log")), "a new file is open")
    assert g.stop() == 0
    everything = [x for name in os.listdir(g.directory) if name.endswith(".log") for x in lines(g, name)]
    assert sorted(int(x["path"].split("?")[1]) for x in everything) == list(range(total))


def test_log_can_move_with_a_reload(gateway, app):
    a = app()
    config = base_config([a.port], access_log={"path": "one.log"})
    g = gateway(config)
    assert g.get("/echo").status == 200
    assert g.reload(dict(config, version="v2", access_log={"path": "two.log"}))
    assert g.get("/echo").status == 200
    wait_until(lambda: lines(g, "two.log"), "a line in the new file")
    assert [x["config_version"] for x in lines(g, "one.log")] == ["v1"]
    assert [x["config_version"] for x in lines(g, "two.log")] == ["v2"]
    assert g.metric("cygnet_access_log_lines_total") == 2
    assert g.reload(dict(config, version="v3", access_log={"path": "off"}))
    assert g.get("/echo").status == 200
    assert g.stop() == 0
    assert len(lines(g, "two.log")) == 1
