"""The admin pages."""
import json
import re
import socket

from harness import base_config, request, wait_until


def test_pages(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    assert (g.admin_get("/healthz").status, g.admin_get("/healthz").body) == (200, b"alive\n")
    assert (g.admin_get("/readyz").status, g.admin_get("/readyz").body) == (200, b"ready\n")
    index = g.admin_get("/").body.decode()
    for page in ("/healthz", "/readyz", "/metrics", "/config", "/debug/goroutines", "/debug/leaks", "/debug/sockets",
                 "/debug/pprof/goroutine", "/debug/pprof/cpu", "/debug/pprof/contention"):
        assert page in index
        assert request(g.admin, "HEAD", page).status == 200
        r = request(g.admin, "POST", page, body=b"x")
        assert (r.status, r.field("Allow")) == (405, "GET, HEAD")
    assert g.admin_get("/nothing").status == 404


def test_config_page_shows_what_is_in_force(gateway, app):
    a = app()
    config = base_config([a.port])
    config["listeners"][0]["routes"].append({"name": "orders", "match": {"host": "*.example.com", "path": "/orders/*"},
                                             "cluster": "app", "timeout": "1500ms"})
    g = gateway(config)
    r = g.admin_get("/config")
    assert r.field("Content-Type") == "application/json"
    shown = json.loads(r.body)
    assert shown["version"] == "v1" and shown["file"] == g.file
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["loaded_at"])
    (web,) = shown["listeners"]
    assert (web["name"], web["bound"]) == ("web", "127.0.0.1:%d" % g.port())
    routes = {x["name"]: x for x in web["routes"]}
    assert routes["orders"]["match"] == {"host": "*.example.com", "path": "/orders/*"}
    assert routes["orders"]["timeout_seconds"] == 1.5
    assert routes["all"]["match"] == {"host": "*", "path": "/*"}
    assert shown["clusters"][0]["endpoints"] == ["127.0.0.1:%d" % a.port]


def test_goroutines_page_names_the_accept_loops(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    text = g.admin_get("/debug/goroutines").body.decode()
    assert '2 goroutines "accept" [read, ' in text and '"main"' in text


def test_goroutines_page_folds_idle_connections(gateway, app):
    """50 clients that wait are one paragraph."""
    g = gateway(base_config([app().port]))
    clients = [socket.create_connection(("127.0.0.1", g.port())) for _ in range(50)]
    for c in clients:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    def folded():
        page = g.admin_get("/debug/goroutines").body.decode()
        counts = [int(n) for n in re.findall(r"^(\d+) idle connections? would start ", page, re.M)]
        return page if counts and max(counts) >= 50 else None

    page = wait_until(folded, "50 idle connections in one paragraph", 20)
    assert len(page) < 20000
    for c in clients:
        c.close()


def test_leaks_page_compares_with_the_last_look(gateway, app):
    g = gateway(base_config([app().port]))
    text = g.admin_get("/debug/leaks").body.decode()
    assert re.match(r"cygnet: \d+ goroutines parked for 60\.000 s or longer", text)
    again = g.admin_get("/debug/leaks").body.decode()
    assert re.match(r"cygnet: \d+ goroutines .* more than \d+ s ago\); \d+ connections, ", again)
    samples = g.metrics()
    started = [value for (name, _), value in samples.items() if name == "cygnet_runtime_goroutines_by_start"]
    assert 0 < len(started) <= 20 and sum(started) >= 1
    m = {name: value for (name, _), value in samples.items()}
    assert m["cygnet_runtime_channels_growing"] == 0
    assert m["cygnet_runtime_parked_long"] == 0
    assert m["cygnet_runtime_close_wait"] <= 2  # the clients of the two pages above may just have gone
