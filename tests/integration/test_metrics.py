"""/metrics: text that Prometheus's own checker accepts, numbers that match what was asked."""
import shutil
import subprocess

import pytest

from harness import base_config, raw, refusing_port, request


def two_routes(port):
    config = base_config([port])
    config["listeners"][0]["routes"] = [
        {"name": "all", "match": {"path": "/app/*"}, "cluster": "app"},
        {"name": "down", "match": {"path": "/down"}, "cluster": "down"}]
    config["clusters"].append({"name": "down", "endpoints": ["127.0.0.1:%d" % refusing_port()]})
    return config


def test_promtool_accepts_it(gateway, app):
    if not shutil.which("promtool"):
        pytest.skip("no promtool")
    a = app()
    g = gateway(two_routes(a.port))
    for when in ("before", "after"):
        r = g.admin_get("/metrics")
        assert r.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        check = subprocess.run(["promtool", "check", "metrics"], input=r.body, capture_output=True)
        assert (check.returncode, check.stdout, check.stderr) == (0, b"", b""), when
        g.get("/app/x")
        g.get("/down")
        g.get("/nowhere")
        raw(g.port(), b"nonsense\r\n\r\n")


def test_counters_are_there_before_the_first_event(gateway, app):
    a = app()
    g = gateway(two_routes(a.port))
    m = g.metrics()
    zero = [
        ("cygnet_http_requests_total", {"listener": "web", "route": "all", "cluster": "app", "code": "200"}),
        ("cygnet_http_requests_total", {"listener": "web", "route": "-", "cluster": "-", "code": "404"}),
        ("cygnet_http_failures_total", {"listener": "web", "route": "down", "reason": "no_healthy_upstream"}),
        ("cygnet_http_request_duration_seconds_count", {"listener": "web", "route": "all"}),
        ("cygnet_http_request_duration_seconds_bucket", {"listener": "web", "route": "all", "le": "0.2"}),
        ("cygnet_upstream_dials_total", {"cluster": "app", "endpoint": "127.0.0.1:%d" % a.port}),
        ("cygnet_config_reloads_total", {"result": "failed"}),
        ("cygnet_access_log_dropped_total", {}),
    ]
    for name, labels in zero:
        assert m[(name, frozenset(labels.items()))] == 0, (name, labels)
    assert g.metric("cygnet_config_info", version="v1") == 1


def test_counts_match_what_was_asked(gateway, app):
    a = app()
    g = gateway(two_routes(a.port))
    for _ in range(7):
        assert g.get("/app/x").status == 200
    for _ in range(3):
        assert g.get("/down").status == 503
    for _ in range(2):
        assert g.get("/nowhere").status == 404
    assert g.metric("cygnet_http_requests_total", route="all", code="200", cluster="app") == 7
    assert g.metric("cygnet_http_requests_total", route="down", code="503") == 3
    assert g.metric("cygnet_http_requests_total", route="-", code="404") == 2
    assert g.metric("cygnet_http_requests_total") == 12
    assert g.metric("cygnet_http_request_duration_seconds_count", route="all") == 7
    assert g.metric("cygnet_http_request_duration_seconds_bucket", route="all", le="+Inf") == 7
    assert 0 < g.metric("cygnet_http_request_duration_seconds_sum", route="all") < 20
    assert g.metric("cygnet_http_failures_total") == 5
    assert g.metric("cygnet_upstream_dials_total", cluster="app") + g.metric("cygnet_upstream_reuses_total", cluster="app") == 7
    assert g.metric("cygnet_upstream_dial_errors_total", cluster="down") == 3
    assert g.metric("cygnet_listener_connections_total", listener="web") == 12


def test_status_codes_of_an_upstream_are_counted_as_they_are(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    for code in (201, 404, 418, 500, 599):
        assert g.get("/status?code=%d" % code).status == code
        assert g.metric("cygnet_http_requests_total", code=str(code)) == 1
    assert g.metric("cygnet_http_failures_total") == 0


def test_runtime_and_process(gateway, app):
    a = app()
    g = gateway(base_config([a.port]), env={"CYGNET_MAXPROCS": "2"})
    assert g.metric("cygnet_runtime_procs") == 2
    assert g.metric("cygnet_runtime_goroutines") >= 3
    assert g.metric("cygnet_runtime_threads") >= 1
    assert abs(g.metric("process_resident_memory_bytes") / 1024 - g.status("VmRSS")) < 8192
    assert g.metric("process_open_fds") > 3
    assert g.metric("process_start_time_seconds") > 1.6e9
    before = g.metric("process_cpu_seconds_total")
    for _ in range(200):
        request(g.port(), "GET", "/echo")
    assert g.metric("process_cpu_seconds_total") > before
