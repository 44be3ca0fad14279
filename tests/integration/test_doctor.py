"""`cygnet doctor` on this machine: values, JSON, exit status; applied and undone in a network namespace; a running gateway."""
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from harness import CYGNET, ROOT, base_config, refusing_port, wait_until
from l4 import connect, echo, tcp_config

MACHINE = os.path.join(ROOT, "tests", "unit", "doctor", "machine")


def doctor(*options, prefix=(), env=None):
    return subprocess.run([*prefix, CYGNET, "doctor", *options], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})


@contextlib.contextmanager
def again_and_again(what, pause=0):
    """Calls what() on a thread of its own for as long as the block runs."""
    stop = threading.Event()

    def run():
        while not stop.is_set():
            what()
            stop.wait(pause)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def findings(*options, **kw):
    done = doctor("--json", *options, **kw)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["verdict"] == "bad" else 0)
    return {f["name"]: f for f in report["findings"]}, report


def sysctl(name):
    return " ".join(subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture
def machine(tmp_path):
    """A directory with a real machine's files, to be changed."""
    root = tmp_path / "machine"
    shutil.copytree(MACHINE, root)
    return root


# ---- looking --------------------------------------------------------------------------------------------------------


def test_values_are_the_machine_s():
    f, report = findings()
    low, high = sysctl("net.ipv4.ip_local_port_range").split()
    assert f["ip_local_port_range"]["value"].startswith("%s to %s: " % (low, high))
    for check, name in (("tcp_tw_reuse", "net.ipv4.tcp_tw_reuse"), ("tcp_fin_timeout", "net.ipv4.tcp_fin_timeout"),
                        ("somaxconn", "net.core.somaxconn"), ("tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog"),
                        ("tcp_congestion_control", "net.ipv4.tcp_congestion_control"),
                        ("tcp_slow_start_after_idle", "net.ipv4.tcp_slow_start_after_idle")):
        assert f[check]["value"].replace(",", "").split()[0] == sysctl(name), check
    soft, hard = (int(v) for v in subprocess.run(["sh", "-c", "ulimit -Sn; ulimit -Hn"], capture_output=True, text=True,
                                                 check=True).stdout.replace("unlimited", "-1").split())
    if hard > 0:
        assert f["nofile"]["value"] == "%s soft, %s hard" % (format(soft, ","), format(hard, ","))
    assert report["gateway"] is None and not any(name.startswith("gateway_") for name in f)
    assert not any(x["verdict"] == "unknown" and x["name"] == "ip_local_port_range" for x in report["findings"])
    for x in report["findings"]:
        assert x["what"] and x["value"] and x["cost"] and x["verdict"] in ("ok", "note", "bad", "unknown")
        if x["apply"]:
            assert sysctl(x["apply"]["sysctl"]) == x["apply"]["from"] != x["apply"]["to"]
    order = ["bad", "note", "unknown", "ok"]
    ranks = [order.index(x["verdict"]) for x in report["findings"]]
    assert ranks == sorted(ranks)


def test_features_are_tried_and_can_be_forced_away():
    f, _ = findings("--only", "kernel_features")
    assert list(f) == ["kernel_features"]
    forced, _ = findings("--only", "kernel_features", env={"CYGNET_DEBUG": "nosockdiag,nopwait2"})
    assert forced["kernel_features"]["verdict"] == "note"
    assert "Without NETLINK_SOCK_DIAG (CYGNET_DEBUG)" in forced["kernel_features"]["cost"]
    assert "epoll_pwait2 (CYGNET_DEBUG)" in forced["kernel_features"]["cost"]


def test_exit_status_and_output(machine):
    done = doctor("--root", str(machine), "--only", "tcp_fin_timeout")
    assert done.returncode == 0 and "\n0 bad, 0 notes, 1 ok.\n" in done.stdout
    (machine / "proc/sys/net/core/somaxconn").write_text("128\n")
    done = doctor("--root", str(machine))
    assert done.returncode == 1
    assert done.stdout.startswith("bad   somaxconn                  128\n      A listener's queue holds 128 connections")
    assert "\n      fix: sysctl -w net.core.somaxconn=4096\n" in done.stdout
    f, report = findings("--root", str(machine))
    assert report["verdict"] == "bad" and report["findings"][0]["name"] == "somaxconn"


@pytest.mark.parametrize("options,says", [
    (["--only", "nothing"], "no such check"), (["--watch", "x"], "0 to 3600"), (["--watch", "-1"], "0 to 3600"),
    (["--admin", "here"], "http://127.0.0.1:9901"), (["--dry-run"], "--apply or --undo"), (["--undo", "--json"], "--undo goes"),
    (["--apply", "--json"], "do not go together"), (["--apply", "--undo"], "do not go together"), (["more"], "no argument"), (["--bogus"], "usage: cygnet doctor"),
])
def test_wrong_calls(options, says):
    done = doctor(*options)
    assert done.returncode == 2 and says in done.stderr and done.stdout == ""


def test_the_reference_page_can_be_written_anew():
    with open(os.path.join(ROOT, "docs", "reference", "doctor.md")) as page:
        assert doctor("--reference").stdout == page.read()


def test_the_guide_names_the_options():
    """Every option of --help has its place in the guide."""
    with open(os.path.join(ROOT, "docs", "guide", "doctor.md")) as page:
        guide = page.read()
    options = set(re.findall(r"^  (--[a-z-]+)", doctor("--help").stdout, re.M))
    assert len(options) >= 10 and [o for o in options if "`%s" % o not in guide] == []


# ---- changing -------------------------------------------------------------------------------------------------------


def in_namespace(script):
    """The script as root of a network namespace of its own, or skips."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespace may be made here")
    return subprocess.run([*unshare, "sh", "-euc", script], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "DOCTOR": CYGNET + " doctor"})


def test_apply_and_undo_of_the_real_thing(tmp_path):
    names = "net.ipv4.ip_local_port_range net.ipv4.tcp_tw_reuse net.ipv4.tcp_slow_start_after_idle"
    only = "--only ip_local_port_range --only tcp_tw_reuse --only tcp_slow_start_after_idle --state %s/undo" % tmp_path
    done = in_namespace(f"""
        sysctl -qw net.ipv4.ip_local_port_range="32768 60999" net.ipv4.tcp_tw_reuse=2
        sysctl -qw net.ipv4.tcp_slow_start_after_idle=1
        sysctl {names}
        $DOCTOR --apply --dry-run {only} >/dev/null; echo dry; sysctl {names}
        $DOCTOR --apply {only} >/dev/null; echo applied; sysctl {names}
        $DOCTOR --json --only tcp_tw_reuse
        $DOCTOR --undo --state {tmp_path}/undo >/dev/null; echo undone; sysctl {names}
        """)
    assert done.returncode == 0, done.stderr
    before, rest = done.stdout.split("dry\n")
    dry, rest = rest.split("applied\n")
    applied, undone = rest.split("undone\n")
    assert before == dry == undone and "32768\t60999" in before
    assert "10240\t65535" in applied and "tcp_tw_reuse = 1" in applied and "after_idle = 0" in applied
    assert '"verdict": "ok"' in applied
    assert not (tmp_path / "undo").exists()


def test_without_root_nothing_is_changed(tmp_path):
    if os.geteuid() != 0:
        prefix = ()
    elif shutil.which("setpriv"):
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    else:
        pytest.skip("this is root, and there is no setpriv")
    if subprocess.run([*prefix, CYGNET, "version"], capture_output=True).returncode != 0:
        pytest.skip("another user may not run this binary")
    before = sysctl("net.ipv4.tcp_tw_reuse")
    done = doctor("--apply", "--state", str(tmp_path / "undo"), prefix=prefix)
    assert done.returncode == 3 and "sudo cygnet doctor --apply" in done.stderr and "nothing was changed" in done.stderr
    assert sysctl("net.ipv4.tcp_tw_reuse") == before
    assert doctor(prefix=prefix).returncode in (0, 1)  # looking needs no privilege


def test_a_state_file_of_somebody_else_is_refused(tmp_path, machine):
    (tmp_path / "undo").write_text("dear diary\n")
    for action in ("--apply", "--undo"):
        done = doctor(action, "--root", str(machine), "--state", str(tmp_path / "undo"))
        assert done.returncode == 3 and "was not written by cygnet doctor; nothing was changed" in done.stderr
    assert (machine / "proc/sys/net/ipv4/tcp_tw_reuse").read_text() == "2\n"


# ---- a running gateway ----------------------------------------------------------------------------------------------


def test_what_hurts_in_a_running_gateway_comes_first(gateway, app):
    config = base_config([app().port])
    config["listeners"][0]["routes"].append({"name": "down", "match": {"path": "/down"}, "cluster": "down"})
    config["clusters"].append({"name": "down", "endpoints": ["127.0.0.1:%d" % refusing_port()]})
    g = gateway(config)
    with again_and_again(lambda: g.get("/down"), pause=0.02):
        wait_until(lambda: g.metric("cygnet_upstream_dial_errors_total") > 0, "a failure")
        f, report = findings("--admin", "http://127.0.0.1:%d" % g.admin, "--watch", "1")
    assert report["gateway"] == "http://127.0.0.1:%d" % g.admin and report["watched_seconds"] >= 1
    first = [x["name"] for x in report["findings"][:2]]
    assert set(first) == {"gateway_failures", "gateway_dial_errors"}
    assert all(x["now"] == 100 for x in report["findings"][:2])
    assert "most of them no_healthy_upstream" in f["gateway_failures"]["cost"]
    assert f["gateway_reloads"]["value"] == "0 failed"
    fds = g.metric("process_max_fds")
    assert f["gateway_descriptors"]["value"].endswith("of %s open" % format(int(fds), ","))


def test_a_connection_left_open_is_found_with_its_holder(gateway, scripted, ends):
    held, over = [], threading.Event()
    ends.callback(over.set)

    def hold(c):
        held.append(c)
        over.wait(60)

    g = gateway(base_config([scripted(hold).port]))
    clients = [socket.create_connection(("127.0.0.1", g.port())) for _ in range(120)]
    for c in clients:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: len(held) == 120, "120 requests at the upstream")
    for c in clients:
        c.shutdown(socket.SHUT_WR)

    def found():
        f, _ = findings("--admin", "127.0.0.1:%d" % g.admin, "--watch", "0", "--only", "gateway_close_wait")
        return f["gateway_close_wait"] if f["gateway_close_wait"]["value"].startswith("120, ") else None

    finding = wait_until(found, "120 connections in CLOSE_WAIT")
    assert finding["verdict"] == "note"
    assert re.search(r"The oldest: close_wait for [0-9.]+ s or longer, fd \d+, 127.0.0.1:%d to " % g.port(), finding["cost"])
    for c in clients:
        c.close()


def test_every_metric_that_is_read_is_one_that_a_gateway_has(gateway, app):
    rows = [line.split("|") for line in doctor("--reference").stdout.splitlines() if line.startswith("| `")]
    read = set(re.findall(r"\b(?:cygnet|process)_[a-z0-9_]+", " ".join(row[3] for row in rows)))
    g = gateway(base_config([app().port]))
    assert g.get("/").status == 200
    g.admin_get("/debug/sockets")  # makes what the metrics tell of sockets and ports fresh
    families = set(re.findall(r"^# TYPE (\S+)", g.admin_get("/metrics").body.decode(), re.M))
    assert len(read) > 20 and read <= families, read - families


def test_a_relay_that_finds_no_pipe_comes_first(gateway, scripted, ends):
    """The gateway is bound by the limit of its user, who has used it up elsewhere. Others of root's are not bound, and not disturbed."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("takes root and setpriv")
    soft = int(sysctl("fs.pipe-user-pages-soft"))
    if not 0 < soft <= 1 << 16:
        pytest.skip("there is no limit that a test could use up")
    pages = 0
    with contextlib.suppress(PermissionError):  # root that is bound as well
        while pages <= soft:
            for fd in os.pipe():
                ends.callback(os.close, fd)
            pages += fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20) // 4096

    g = gateway(tcp_config([scripted(echo).port]), prefix=("setpriv", "--bounding-set", "-sys_resource,-sys_admin"))

    def ask():
        with connect(g.port("db")) as s:
            s.sendall(b"x")
            assert s.recv(1) == b"x"

    with again_and_again(ask):
        wait_until(lambda: g.metric("cygnet_copy_pipes_refused_total") > 0, "a copy without a pipe")
        f, report = findings("--admin", "127.0.0.1:%d" % g.admin, "--watch", "1")
    pipes = f["pipe_user_pages_soft"]
    assert (pipes["verdict"], pipes["now"]) == ("bad", 100)
    assert all(x["now"] == 100 for x in report["findings"][:report["findings"].index(pipes)])  # before it only what hurts as much
    assert "fs.pipe-user-pages-soft=262144" in pipes["fix"]


def test_what_is_no_gateway_is_told(app):
    done = doctor("--admin", "127.0.0.1:%d" % app().port)
    assert done.returncode == 3 and "is not the admin address of a Cygnet gateway" in done.stderr
    done = doctor("--admin", "127.0.0.1:%d" % refusing_port())
    assert done.returncode == 3 and "refused" in done.stderr


def test_ctrl_c_while_watching_ends_it():
    # Whoever runs the tests in the background may have had SIGINT ignored, which is inherited.
    p = subprocess.Popen([CYGNET, "doctor", "--watch", "3600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_until(lambda: "cygnet" in open("/proc/%d/comm" % p.pid).read() and len(os.listdir("/proc/%d/task" % p.pid)) > 1, "its threads")
    p.send_signal(signal.SIGINT)
    assert p.wait(20) != 0
    p.stdout.close(), p.stderr.close()
