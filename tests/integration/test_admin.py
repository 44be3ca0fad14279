"""The admin pages."""
import json
import re

from harness import base_config, request


def test_pages(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    assert (g.admin_get("/healthz").status, g.admin_get("/healthz").body) == (200, b"alive\n")
    assert (g.admin_get("/readyz").status, g.admin_get("/readyz").body) == (200, b"ready\n")
    index = g.admin_get("/").body.decode()
    for page in ("/healthz", "/readyz", "/metrics", "/config", "/debug/goroutines"):
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
    assert text.count('"accept"') == 2 and '"main"' in text
