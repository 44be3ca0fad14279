"""`cygnet demo` and the command line: what a newcomer meets first."""
import os
import signal
import socket
import subprocess

import pytest

from harness import CYGNET, DEADLINE, Output, free_port, parse_metrics, request


def run(*args):
    return subprocess.run([CYGNET, *args], capture_output=True, text=True, timeout=DEADLINE)


@pytest.fixture
def demo(ends):
    p = subprocess.Popen([CYGNET, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    ends.callback(p.wait)
    ends.callback(p.kill)
    p.out, p.err = Output(p.stdout), Output(p.stderr)
    p.web = int(p.out.wait(r"http://127\.0\.0\.1:(\d+) with").group(1))
    p.admin = int(p.out.wait(r"admin pages are on http://127\.0\.0\.1:(\d+)").group(1))
    return p


def test_every_line_that_it_prints_can_be_tried(demo):
    demo.out.wait("Ctrl-C")
    printed = [line for line in demo.out.lines if line.strip().startswith(("curl ", "bash "))]
    assert len(printed) >= 12 and any("/dev/udp/" in line for line in printed)
    for line in printed:
        command = line.split(" # ")[0]
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=DEADLINE)
        assert done.returncode == 0, command
        assert done.stdout or "/dev/null" in command, command
    web = demo.web
    assert request(web, "GET", "/hello").body.startswith(b"hello from 127.0.0.1:")
    assert len({request(web, "GET", "/hello").body for _ in range(20)}) == 2  # they take turns
    assert request(web, "GET", "/failing").status == 500
    assert request(web, "GET", "/failing?how=drop").status == 502
    assert request(web, "GET", "/gone").status == 503
    assert request(web, "GET", "/nowhere").status == 404
    assert request(web, "GET", "/slow?ms=20").body == b"answered after 20 ms\n"
    echo = request(web, "POST", "/echo", {"X-Mine": "1"}, b"the body").body
    assert echo.startswith(b"POST /echo\n") and b"X-Mine: 1\n" in echo and echo.endswith(b"\n\nthe body")
    assert len(request(web, "GET", "/big?mib=8").body) == 8 << 20
    metrics = parse_metrics(request(demo.admin, "GET", "/metrics").body.decode())
    assert sum(v for (n, l), v in metrics.items() if n == "cygnet_http_requests_total") > 10


def test_interrupt_ends_it_cleanly(demo):
    assert request(demo.web, "GET", "/hello").status == 200
    demo.send_signal(signal.SIGINT)
    assert demo.wait(DEADLINE) == 0
    demo.err.wait("info drained cut=0")
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", demo.web)) != 0


@pytest.mark.parametrize("option", ["--listen", "--admin"])
def test_port_in_use_is_one_sentence_with_a_way_out(option):
    with socket.create_server(("127.0.0.1", 0)) as s:
        taken = "127.0.0.1:%d" % s.getsockname()[1]
        args = {"--listen": "127.0.0.1:0", "--admin": "127.0.0.1:0"}
        args[option] = taken
        done = run("demo", *[x for kv in args.items() for x in kv])
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert taken in done.stderr and "in use" in done.stderr and option in done.stderr


def test_one_address_for_both_is_one_sentence():
    done = run("demo", "--listen", "127.0.0.1:%d" % (port := free_port()), "--admin", "127.0.0.1:%d" % port)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "--listen and --admin are both 127.0.0.1:%d" % port in done.stderr


def test_a_start_that_fails_ends_its_services():
    """Each address is free by itself, but not the two together: the services have begun when that is seen."""
    port = free_port()
    done = run("demo", "--listen", "0.0.0.0:%d" % port, "--admin", "127.0.0.1:%d" % port)
    assert done.returncode == 1 and "expected an address that is free" in done.stderr and "fatal" not in done.stderr


def test_command_line():
    assert run("--version").stdout.startswith("cygnet 0.")
    assert "gateway" in run("--help").stdout
    wrong = run("gatewya")
    assert wrong.returncode == 2 and 'did you mean "gateway"' in wrong.stderr
    assert run().returncode == 2
    assert run("gateway").returncode == 2
    assert run("demo", "--listen", "nonsense", "--admin", "127.0.0.1:0").returncode == 2
    assert run("gateway", "--help").returncode == 0


def test_gateway_that_cannot_start_says_why(tmp_path):
    missing = run("gateway", "-c", str(tmp_path / "missing.yaml"))
    assert missing.returncode == 1 and "missing.yaml" in missing.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: x\nlisteners: 3\n")
    told = run("gateway", "-c", str(bad))
    assert told.returncode == 1 and "bad.yaml:2" in told.stderr
    with socket.create_server(("127.0.0.1", 0)) as s:
        taken = "127.0.0.1:%d" % s.getsockname()[1]
        good = tmp_path / "good.yaml"
        good.write_text('version: "1"\nlisteners: [{name: web, address: "%s", routes: [{name: all, cluster: app}]}]\n'
                        'clusters: [{name: app, endpoints: ["127.0.0.1:1"]}]\naccess_log: {path: off}\n' % taken)
        in_use = run("gateway", "-c", str(good))
    assert in_use.returncode == 1 and taken in in_use.stderr and "in use" in in_use.stderr
    assert not os.path.exists(str(tmp_path / "core"))
