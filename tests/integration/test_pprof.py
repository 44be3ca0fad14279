"""The profiles of the admin listener, read by pprof itself."""
import os
import re
import shutil
import subprocess
import threading

import pytest
from harness import base_config, request

GO = shutil.which("go")
pytestmark = pytest.mark.skipif(not GO, reason="go is not installed")


def top(tmp_path, body, *options):
    file = tmp_path / "profile.pb"
    file.write_bytes(body)
    env = dict(os.environ, HOME=str(tmp_path), PPROF_TMPDIR=str(tmp_path), GOPROXY="off")
    done = subprocess.run([GO, "tool", "pprof", *options, "-top", "-nodecount=200", str(file)], capture_output=True, text=True,
                          timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def profile(g, page):
    r = g.admin_get(page)
    assert (r.status, r.field("Content-Type")) == (200, "application/octet-stream")
    return r.body


def rows(text):
    """name -> (flat, cum) of pprof's table."""
    found = re.findall(r"^\s*(\S+)\s+\S+%\s+\S+%\s+(\S+)\s+\S+%\s+(.+)$", text, re.M)
    return {name: (flat, cum) for flat, cum, name in found}


def test_goroutine_profile_adds_up_by_start_site(gateway, app, tmp_path):
    g = gateway(base_config([app().port]))
    text = top(tmp_path, profile(g, "/debug/pprof/goroutine"), "-cum")
    assert "Type: goroutines" in text
    accept = {n: v for n, v in rows(text).items() if re.search(r"(^|@)server_http\.c:\d+$", n)}
    assert [cum for _, cum in accept.values()] == ["2"], text  # one accept loop for the web listener, one for the admin's
    plain = g.admin_get("/debug/pprof/goroutine?debug=1")
    assert plain.field("Content-Type").startswith("text/plain")
    assert re.search(r"^2  \S*server_http\.c:\d+  \[read\]$", plain.body.decode(), re.M), plain.body


def test_cpu_profile_of_a_gateway_at_work(gateway, app, tmp_path):
    g = gateway(base_config([app().port]))
    over = threading.Event()

    def load():
        while not over.is_set():
            request(g.port(), "GET", "/")

    worker = threading.Thread(target=load)
    worker.start()
    try:
        body = profile(g, "/debug/pprof/cpu?seconds=1")
    finally:
        over.set()
        worker.join()
    text = top(tmp_path, body)
    assert "Type: cpu" in text and "Duration: 1" in text
    assert any(n.endswith("readiness") or "@" in n for n in rows(text)), text
    for seconds in ("0", "61"):
        assert g.admin_get("/debug/pprof/cpu?seconds=" + seconds).status == 400


def test_one_cpu_profile_at_a_time(gateway, app):
    g = gateway(base_config([app().port]))
    results = []
    asks = [threading.Thread(target=lambda: results.append(g.admin_get("/debug/pprof/cpu?seconds=2&debug=1").status))
            for _ in range(2)]
    for t in asks:
        t.start()
    for t in asks:
        t.join()
    assert sorted(results) == [200, 503]


def test_contention_profile_is_read(gateway, app, tmp_path):
    g = gateway(base_config([app().port]))
    text = top(tmp_path, profile(g, "/debug/pprof/contention"))
    assert "Type: delay" in text
    assert g.admin_get("/debug/pprof/contention?debug=1").body.startswith(b"waits for locks: ")
