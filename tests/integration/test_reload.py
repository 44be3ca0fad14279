"""SIGHUP: a new configuration takes effect whole and loses no request; a bad one changes nothing."""
import json
import socket
import threading

from harness import Wrk, accepts, base_config, free_port, raw, request, wait_until


def version_in_force(g):
    return json.loads(g.admin_get("/config").body)["version"]


def test_reload_under_load_loses_no_request(gateway, nginx):
    n = nginx()
    config = base_config([n.port])
    g = gateway(config)
    wrk = Wrk(g.port(), 4)
    wait_until(lambda: g.metric("cygnet_http_requests_total") > 100, "load arrives")
    reloads = 0
    while wrk.running() and reloads < 40:
        reloads += 1
        config["version"] = "r%d" % reloads
        config["clusters"][0]["pool"] = {"max_idle": 100 + reloads % 3}  # other settings: other pools
        config["listeners"][0]["routes"] = [{"name": "all", "cluster": "app", "timeout": "%ds" % (5 + reloads % 5)},
                                            {"name": "x%d" % reloads, "match": {"path": "/x"}, "cluster": "app"}]
        assert g.reload(config)
        assert version_in_force(g) == "r%d" % reloads
    total, bad, errors = wrk.result()
    assert reloads >= 10 and total > 1000
    assert (bad, errors) == (0, {})
    assert g.metric("cygnet_config_reloads_total", result="ok") == reloads
    assert g.metric("cygnet_config_info", version="r%d" % reloads) == 1
    assert g.metric("cygnet_http_requests_total", route="all", code="200") >= total
    assert g.stop() == 0


def test_bad_configuration_keeps_the_old_one(gateway, app):
    a = app()
    config = base_config([a.port])
    g = gateway(config)
    bad = dict(config, version="v2", listeners=[])
    assert not g.reload(bad)
    assert g.log.wait(r"error config-problem .*listeners")
    assert not g.reload("version: v3\nlisteners: [")
    unusable = dict(config, version="v4")
    unusable["listeners"] = config["listeners"] + [
        {"name": "taken", "address": "127.0.0.1:%d" % a.port, "routes": [{"name": "all", "cluster": "app"}]}]
    assert not g.reload(unusable)  # all or nothing: the address is in use
    assert g.log.wait(r'error listen-failed name=taken error="listen tcp 127\.0\.0\.1:%d: ' % a.port)
    assert not g.reload(dict(config, version="v4", access_log={"path": "/nowhere/access.log"}))
    assert g.log.wait(r'error access-log-failed name=/nowhere/access\.log error="open /nowhere/access\.log: ')
    assert version_in_force(g) == "v1"
    assert g.get("/echo").status == 200
    assert g.metric("cygnet_config_reloads_total", result="failed") == 4
    assert g.reload(dict(config, version="v5"))
    assert version_in_force(g) == "v5"
    assert g.stop() == 0


def test_listeners_come_and_go(gateway, app):
    a = app()
    config = base_config([a.port])
    g = gateway(config)
    first = g.port()
    kept = socket.create_connection(("127.0.0.1", first))
    kept.settimeout(20)
    kept.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
    assert kept.recv(65536).startswith(b"HTTP/1.1 200")

    port = free_port()
    two = dict(config, version="v2")
    two["listeners"] = config["listeners"] + [
        {"name": "second", "address": "127.0.0.1:%d" % port, "routes": [{"name": "all", "cluster": "app"}]}]
    assert g.reload(two)
    assert request(port, "GET", "/echo").status == 200
    kept.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")  # the same connection goes on
    assert kept.recv(65536).startswith(b"HTTP/1.1 200")
    assert g.metric("cygnet_http_requests_total", listener="second", code="200") == 1

    only_second = dict(two, version="v3", listeners=two["listeners"][1:])
    assert g.reload(only_second)
    g.log.wait("info listener-closed address=127.0.0.1:%d" % first)
    assert kept.recv(65536) == b""  # idle: closed in good order
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", first)) != 0
    assert request(port, "GET", "/echo").status == 200
    assert g.stop() == 0


def test_request_in_flight_finishes_when_its_listener_is_removed(gateway, app):
    a = app()
    config = base_config([a.port])
    port = free_port()
    second = {"name": "second", "address": "127.0.0.1:%d" % port, "routes": [{"name": "all", "cluster": "app"}]}
    g = gateway(dict(config, listeners=config["listeners"] + [second]))
    got = []
    t = threading.Thread(target=lambda: got.append(raw(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")))
    t.start()
    wait_until(lambda: a.counts.get("/slow") == 1, "the request is upstream")
    assert g.reload(dict(config, version="v2"))
    wait_until(lambda: not accepts(port), "the listener drains")
    a.hold.set()
    t.join(20)
    assert got[0].startswith(b"HTTP/1.1 200") and b"connection: close" in got[0].lower() and got[0].endswith(b"slow\n")
    g.log.wait("info listener-closed address=127.0.0.1:%d$" % port)
    assert g.stop() == 0


def test_new_limits_hold_on_the_same_socket(gateway, app):
    a = app()
    config = base_config([a.port])
    config["listeners"][0]["limits"] = {"max_body_bytes": 1000}
    g = gateway(config)
    port = g.port()
    assert request(port, "POST", "/echo", body=b"x" * 1500).status == 413
    config["listeners"][0]["limits"] = {"max_body_bytes": 2000}
    config["version"] = "v2"
    assert g.reload(config)
    assert request(port, "POST", "/echo", body=b"x" * 1500).status == 200
    assert json.loads(g.admin_get("/config").body)["listeners"][0]["limits"]["max_body_bytes"] == 2000
    assert g.stop() == 0


def test_new_limits_under_load_refuse_nobody(gateway, nginx):
    """Every reload hands the socket to another server; connections may be closed when idle, but no one is turned away."""
    n = nginx()
    config = base_config([n.port])
    g = gateway(config)
    stop = threading.Event()
    failures = []
    served = [0]

    def ask():
        while not stop.is_set():
            try:
                if request(g.port(), "GET", "/", headers={"Connection": "close"}).status != 200:
                    failures.append("status")
                served[0] += 1
            except OSError as e:
                failures.append(repr(e))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(20):
        config["version"] = "r%d" % i
        config["listeners"][0]["limits"] = {"max_fields": 50 + i}
        assert g.reload(config)
        before = served[0]
        wait_until(lambda: served[0] >= before + 10, "requests go on")
    stop.set()
    for t in threads:
        t.join()
    assert failures == []
    assert g.stop() == 0


def test_upstream_connections_survive_a_reload_that_leaves_them_alone(gateway, app):
    a = app()
    config = base_config([a.port])
    g = gateway(config)
    assert g.get("/echo").status == 200
    assert g.reload(dict(config, version="v2"))
    assert g.get("/echo").status == 200
    assert g.metric("cygnet_upstream_dials_total") == 1
    assert g.metric("cygnet_upstream_reuses_total") == 1


def test_admin_address_can_change(gateway, app):
    a = app()
    config = base_config([a.port])
    g = gateway(config)
    old, new = g.admin, free_port()
    assert g.reload(dict(config, version="v2", admin={"address": "127.0.0.1:%d" % new}))
    assert request(new, "GET", "/readyz").status == 200
    g.log.wait("info listener-closed address=127.0.0.1:%d" % old)
    g.admin = new
    assert version_in_force(g) == "v2"
    assert g.stop() == 0


def test_old_configurations_live_as_long_as_their_requests(gateway, app):
    a = app()
    config = base_config([a.port])
    g = gateway(config)
    assert g.metric("cygnet_config_snapshots") == 1
    got = []
    t = threading.Thread(target=lambda: got.append(g.get("/slow")))
    t.start()
    wait_until(lambda: a.counts.get("/slow") == 1, "the request is upstream")
    for i in range(5):
        assert g.reload(dict(config, version="r%d" % i))
    wait_until(lambda: g.metric("cygnet_config_snapshots") == 2, "only the first and the last are left")
    a.hold.set()
    t.join(20)
    assert got[0].status == 200
    wait_until(lambda: g.metric("cygnet_config_snapshots") == 1, "the first is gone with its request")
    assert g.stop() == 0
