"""Requests through the gateway: what passes, how it is changed, and how failures are told. Clients are curl, http.client and bare
sockets; upstreams are nginx, Python's http.server and scripted sockets.
"""
import hashlib
import http.client
import json
import re
import socket
import subprocess
import threading

import pytest

from harness import base_config, body_bytes, raw, refusing_port, request, wait_until


def curl(*args):
    return subprocess.run(["curl", "-s", "-S", "--max-time", "20", *args], check=True, capture_output=True).stdout


def routes_config(endpoints, routes, **more):
    config = base_config(endpoints, **more)
    config["listeners"][0]["routes"] = routes
    return config


# ---- what passes ----------------------------------------------------------------------------------------------------


def test_curl_through_gateway_to_nginx(gateway, nginx):
    n = nginx()
    g = gateway(base_config([n.port]))
    assert curl("http://127.0.0.1:%d/" % g.port()) == b"nginx\n"
    body = curl("http://127.0.0.1:%d/mib" % g.port())
    assert hashlib.sha256(body).digest() == hashlib.sha256(body_bytes(1 << 20)).digest()
    head = curl("-I", "http://127.0.0.1:%d/mib" % g.port()).decode()
    assert head.startswith("HTTP/1.1 200") and "Content-Length: 1048576" in head
    assert g.stop() == 0


def test_request_fields_that_the_upstream_sees(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    sent = {"X-Request-Id": "mine-1", "X-Forwarded-For": "6.6.6.6", "Connection": "X-Drop, keep-alive", "X-Drop": "1",
            "Keep-Alive": "timeout=1", "Proxy-Connection": "keep-alive", "X-Keep": "2", "Host": "shop.example.com"}
    seen = g.get("/echo?a=b", headers=sent).json()
    fields = {k.lower(): v for k, v in seen["fields"]}
    assert seen["target"] == "/echo?a=b"
    assert fields["x-request-id"] == "mine-1"
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-proto"] == "http"
    assert fields["x-forwarded-host"] == "shop.example.com"
    assert fields["host"] == "shop.example.com"
    assert fields["via"] == "1.1 cygnet"
    assert fields["x-keep"] == "2"
    for name in ("x-drop", "keep-alive", "proxy-connection"):
        assert name not in fields


@pytest.mark.parametrize("bad", ["", "has space", "x" * 129, "\u00e9t\u00e9"])
def test_request_id_is_made_when_the_clients_is_not_sane(gateway, app, bad):
    a = app()
    g = gateway(base_config([a.port]))
    seen = g.get("/echo", headers={"X-Request-Id": bad.encode("latin-1")}).json()
    ids = [v for k, v in seen["fields"] if k.lower() == "x-request-id"]
    assert len(ids) == 1
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", ids[0])


def test_forwarded_for_of_a_trusted_peer_is_appended_to(gateway, app):
    a = app()
    config = base_config([a.port])
    config["listeners"][0]["trusted"] = ["127.0.0.0/8"]
    g = gateway(config)
    seen = g.get("/echo", headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}).json()
    fields = {k.lower(): v for k, v in seen["fields"]}
    assert [p.strip() for p in fields["x-forwarded-for"].split(",")] == ["6.6.6.6", "127.0.0.1"]
    assert fields["x-forwarded-proto"] == "https"


def test_hop_by_hop_fields_of_an_answer_stop_here(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    r = g.get("/hop")
    assert r.field("X-Kept") == "2"
    assert r.field("X-Secret") is None and r.field("Proxy-Connection") is None


def test_bodies_of_a_mebibyte_both_ways(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    body = body_bytes((1 << 20) + 17)
    digest = hashlib.sha256(body).hexdigest()
    for chunked in (False, True):
        sent = iter([body[i:i + 5003] for i in range(0, len(body), 5003)]) if chunked else body
        headers = {"Transfer-Encoding": "chunked"} if chunked else {}
        seen = request(g.port(), "POST", "/echo", headers, sent, chunked=chunked).json()
        assert (seen["bytes"], seen["sha256"]) == (len(body), digest)
    for path in ("/bytes", "/chunked", "/until-close"):
        got = g.get("%s?n=%d" % (path, len(body))).body
        assert len(got) == len(body), path
        assert hashlib.sha256(got).hexdigest() == digest, path


def test_large_answers_to_many_clients_at_once_are_whole(gateway, nginx):
    n = nginx()
    g = gateway(base_config([n.port]))
    digest = hashlib.sha256(body_bytes(1 << 20)).digest()
    broken = []

    def ask():
        c = http.client.HTTPConnection("127.0.0.1", g.port(), timeout=20)
        try:
            for _ in range(30):
                c.request("GET", "/mib")
                if hashlib.sha256(c.getresponse().read()).digest() != digest:
                    broken.append("other bytes")
        except (http.client.HTTPException, OSError) as e:
            broken.append(repr(e))
        c.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert broken == []
    assert g.metric("cygnet_http_failures_total") == 0


def test_head_has_no_body_and_the_connection_goes_on(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    out = raw(g.port(), b"HEAD /bytes?n=5 HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes?n=3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    first, rest = out.split(b"\r\n\r\n", 1)
    assert b"content-length: 5" in first.lower()
    assert rest.startswith(b"HTTP/1.1 200") and rest.endswith(b"\r\n\r\n000")


def test_answers_that_never_have_a_body(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    for code in (204, 304):
        r = g.get("/status?code=%d" % code)
        assert (r.status, r.body) == (code, b"")


def test_interim_answers_are_passed_on(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    out = raw(g.port(), b"GET /early-hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert out.startswith(b"HTTP/1.1 103 ")
    assert b"\r\n\r\nHTTP/1.1 200 " in out and out.endswith(b"final\n")
    old = raw(g.port(), b"GET /early-hints HTTP/1.0\r\nHost: a\r\n\r\n")
    assert b" 103 " not in old and b" 200 " in old


def test_expect_100_continue_reaches_the_upstream_and_back(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    with socket.create_connection(("127.0.0.1", g.port()), timeout=20) as s:
        s.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
        first = b""
        while b"\r\n\r\n" not in first:
            first += s.recv(4096)
        assert first.startswith(b"HTTP/1.1 100 ")
        s.sendall(b"hello")
        rest = b""
        while True:
            piece = s.recv(4096)
            if not piece:
                break
            rest += piece
    assert b"HTTP/1.1 200 " in rest
    assert json.loads(rest[rest.index(b"{"):].split(b"\r\n")[0])["bytes"] == 5


def test_http_1_0_clients(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    out = raw(g.port(), b"GET /chunked?n=9000 HTTP/1.0\r\n\r\n")
    head, body = out.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200") and b"chunked" not in head.lower()
    assert body == body_bytes(9000)


def test_pipelined_requests_are_answered_in_order(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    n = 30
    data = b"".join(b"GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(n - 1))
    data += b"GET /echo?%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % (n - 1)
    out = raw(g.port(), data).decode()
    assert re.findall(r'"target": "/echo\?(\d+)"', out) == [str(i) for i in range(n)]


def test_round_robin_uses_every_endpoint_evenly(gateway, app):
    first, second = app(), app()
    g = gateway(base_config([first.port, second.port]), env={"CYGNET_MAXPROCS": "1"})
    for _ in range(20):
        assert g.get("/echo").status == 200
    assert first.counts["/echo"] == second.counts["/echo"] == 10


def test_routes_by_host_and_path(gateway, app):
    shop, other = app(), app()
    config = base_config([other.port])
    config["clusters"].append({"name": "shop", "endpoints": ["127.0.0.1:%d" % shop.port]})
    config["listeners"][0]["routes"].append(
        {"name": "shop", "match": {"host": "shop.example.com", "path": "/orders/*"}, "cluster": "shop"})
    g = gateway(config)
    for host, path, want in (("shop.example.com", "/orders/1", shop), ("SHOP.example.com:80", "/orders/2", shop),
                             ("shop.example.com", "/orders", other), ("example.com", "/orders/3", other)):
        before = want.counts.get(path, 0)
        assert g.get(path, headers={"Host": host}).status == 200
        assert want.counts[path] == before + 1


def test_next_endpoint_is_tried_when_one_takes_no_connection(gateway, app):
    a = app()
    g = gateway(base_config([refusing_port(), a.port]))
    for _ in range(10):
        assert g.get("/echo").status == 200
    body = body_bytes(200000)
    for _ in range(4):
        assert request(g.port(), "POST", "/echo", body=body).json()["sha256"] == hashlib.sha256(body).hexdigest()


# ---- how failures are told ------------------------------------------------------------------------------------------


def read_log(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


FAILURES = [
    ("/nowhere", 404, "route_not_found", "NR"),
    ("/down", 503, "no_healthy_upstream", "UF,UH"),
    ("/up/drop", 502, "upstream_reset", "UC"),
    ("/up/garbage", 502, "upstream_protocol_error", "UPE"),
    ("/up/bad-length", 502, "upstream_protocol_error", "UPE"),
    ("/up/slow", 504, "upstream_timeout", "UT"),
]


@pytest.mark.parametrize("path,status,reason,flags", FAILURES)
def test_one_reason_word_in_field_log_and_metric(gateway, scripted, path, status, reason, flags):
    def upstream(c):
        target = c.recv(65536).split(b" ")[1]
        answers = {b"/up/garbage": b"this is not HTTP\r\n\r\n",
                   b"/up/bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"}
        if target in answers:
            c.sendall(answers[target])
        if target == b"/up/slow":
            c.recv(1)  # until the gateway gives up

    s = scripted(upstream)
    config = routes_config([s.port], [
        {"name": "up", "match": {"path": "/up/*"}, "cluster": "app", "timeout": "300ms"},
        {"name": "down", "match": {"path": "/down"}, "cluster": "down"},
    ])
    config["clusters"].append({"name": "down", "endpoints": ["127.0.0.1:%d" % refusing_port(), "127.0.0.1:%d" % refusing_port()]})
    config["access_log"] = {"path": "access.log"}
    g = gateway(config)
    r = g.get(path, headers={"X-Request-Id": "id-1"})
    assert (r.status, r.field("x-cygnet-reason"), r.field("x-request-id")) == (status, reason, "id-1")
    assert r.body.decode().startswith(reason + ": ")
    lines = wait_until(lambda: read_log(g.directory + "/access.log"), "a log line")
    line = lines[0]
    assert (line["response_code"], line["response_code_details"], line["response_flags"]) == (status, reason, flags)
    assert line["request_id"] == "id-1"
    assert line["upstream_request_attempt_count"] == {"/nowhere": 0, "/down": 2}.get(path, 1)
    route = {"/nowhere": "-", "/down": "down"}.get(path, "up")
    assert g.metric("cygnet_http_failures_total", listener="web", route=route, reason=reason) == 1
    assert g.metric("cygnet_http_failures_total") == 1
    assert g.metric("cygnet_http_requests_total", route=route, code=str(status)) == 1
    assert g.metric("cygnet_http_requests_total") == 1


def test_pool_overflow_is_503(gateway, app):
    a = app()
    config = base_config([a.port])
    config["clusters"][0]["pool"] = {"max_connections": 1, "max_waiters": 1}
    g = gateway(config)
    with socket.create_connection(("127.0.0.1", g.port())) as one, socket.create_connection(("127.0.0.1", g.port())) as two:
        one.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: a.counts.get("/slow") == 1, "the first request is upstream")
        two.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: g.metric("cygnet_upstream_waiters") == 1, "the second request waits")
        r = g.get("/echo")
        assert (r.status, r.field("x-cygnet-reason")) == (503, "upstream_overflow")
        a.hold.set()
        two.settimeout(20)
        assert two.recv(4096).startswith(b"HTTP/1.1 200")
    assert g.metric("cygnet_http_failures_total", reason="upstream_overflow") == 1
    assert g.metric("cygnet_upstream_overflows_total") == 1


def test_answer_cut_by_the_upstream_is_not_passed_off_as_whole(gateway, app):
    a = app()
    config = base_config([a.port], access_log={"path": "access.log"})
    g = gateway(config)
    out = raw(g.port(), b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len(out) < 1000
    line = wait_until(lambda: read_log(g.directory + "/access.log"), "a log line")[0]
    assert line["response_code_details"] in ("upstream_answer_cut", "upstream_protocol_error")
    assert g.metric("cygnet_http_failures_total") == 1


def test_client_that_leaves_is_no_fault_of_the_upstream(gateway, app):
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log"}))
    with socket.create_connection(("127.0.0.1", g.port())) as s:
        s.sendall(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegun")
        wait_until(lambda: a.counts.get("/slow") == 1, "the request is upstream")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line = wait_until(lambda: read_log(g.directory + "/access.log"), "a log line")[0]
    assert (line["response_code"], line["response_code_details"]) in ((0, "client_disconnected"), (400, "client_body_error"))


@pytest.mark.parametrize("data,status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
])
def test_what_the_library_refuses_is_logged_and_counted(gateway, app, data, status):
    a = app()
    g = gateway(base_config([a.port], access_log={"path": "access.log"}))
    assert raw(g.port(), data).startswith(b"HTTP/1.1 %d " % status)
    line = wait_until(lambda: read_log(g.directory + "/access.log"), "a log line")[0]
    assert line["response_code"] == status and line["listener"] == "web"
    assert g.metric("cygnet_http_refused_total", listener="web", reason=line["response_code_details"]) == 1
    assert g.metric("cygnet_http_requests_total") == 0


def test_request_body_beyond_the_limit_is_413(gateway, app):
    a = app()
    config = base_config([a.port])
    config["listeners"][0]["limits"] = {"max_body_bytes": 1000}
    g = gateway(config)
    assert request(g.port(), "POST", "/echo", body=b"x" * 1000).status == 200
    out = raw(g.port(), b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001)
    assert out.startswith(b"HTTP/1.1 413 ")
    chunked = raw(g.port(), b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.1 413 ")


def test_connect_and_upgrade_are_not_passed_on(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    out = raw(g.port(), b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
    assert re.match(rb"HTTP/1.1 (400|405|501) ", out)
    assert not a.counts
