"""Listeners of tcp: bytes and ends of both directions arrive, limits hold, and what went wrong is told and leaves nothing behind."""
import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest

from harness import accepts, free_port, refusing_port, wait_until
from l4 import (RESET, Flood, Program, connect, digest, drink, echo, ended, is_refused, is_reset, log_lines, read_all, tcp_config)

MIB = 1 << 20


# ---- bytes and their ends ---------------------------------------------------------------------------------------------


def test_hundreds_of_mebibytes_both_ways_arrive_as_they_were(gateway, scripted):
    outcome = []

    def peer(c):
        down = Flood(c, 96 * MIB, 7)
        down.start()
        got = drink(c)
        down.join()
        outcome.append((got, down.sum.hexdigest()))

    g = gateway(tcp_config([scripted(peer).port]))
    with connect(g.port("db")) as s:
        up = Flood(s, 160 * MIB, 0)
        up.start()
        got = drink(s)
        up.join()
    (line,) = log_lines(g)
    ((peer_got, peer_sent),) = wait_until(lambda: outcome, "the peer has read it all")
    assert peer_got == (160 * MIB, up.sum.hexdigest())
    assert got == (96 * MIB, peer_sent)
    assert (line["bytes_received"], line["bytes_sent"]) == (160 * MIB, 96 * MIB)
    assert g.metric("cygnet_tcp_bytes_total", listener="db", direction="in") == 160 * MIB
    assert g.metric("cygnet_tcp_bytes_total", listener="db", direction="out") == 96 * MIB
    assert g.metric("cygnet_copy_bytes_total") == 256 * MIB
    assert g.metric("cygnet_copy_bytes_total", path="splice") > 200 * MIB  # in the kernel, whatever the wrapper around the connection


def test_bytes_are_counted_while_a_connection_lasts(gateway, scripted):
    g = gateway(tcp_config([scripted(echo).port]))

    def counted(n):
        return all(g.metric("cygnet_tcp_bytes_total", listener="db", direction=d) == n for d in ("in", "out"))

    with connect(g.port("db")) as s:
        for more, so_far in ((1000, 1000), (1, 1001)):  # the second look adds what is new, and no more
            s.sendall(b"x" * more)
            assert s.recv(more, socket.MSG_WAITALL) == b"x" * more
            wait_until(lambda: counted(so_far), "%d bytes in the metrics" % so_far)
        assert ended(g, "relayed") == 0
    assert log_lines(g)[0]["bytes_received"] == 1001
    assert counted(1001)


def test_looking_while_connections_end_counts_each_byte_once(gateway, scripted):
    g = gateway(tcp_config([scripted(echo).port]))
    over, seen = threading.Event(), [0]

    def look():
        while not over.is_set():
            seen.append(g.metric("cygnet_tcp_bytes_total", direction="in"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            with connect(g.port("db")) as s:
                s.sendall(b"x" * 100)
                s.recv(100, socket.MSG_WAITALL)
    finally:
        over.set()
        looking.join()
    log_lines(g, 300)
    assert seen == sorted(seen) and len(seen) > 10
    assert g.metric("cygnet_tcp_bytes_total", direction="in") == 300 * 100


def test_client_ends_its_direction_and_still_gets_the_answer(gateway, scripted):
    def peer(c):
        request = read_all(c)  # to the end: only a half-close brings it
        c.sendall(b"%d bytes\n" % len(request))

    g = gateway(tcp_config([scripted(peer).port]))
    with connect(g.port("db")) as s:
        s.sendall(b"x" * 100000)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"100000 bytes\n"
    assert log_lines(g)[0]["response_code_details"] == "relayed"


def test_upstream_ends_its_direction_and_still_gets_the_rest(gateway, scripted):
    got = []

    def peer(c):
        c.sendall(b"bye\n")
        c.shutdown(socket.SHUT_WR)
        got.append(read_all(c))

    g = gateway(tcp_config([scripted(peer).port]))
    with connect(g.port("db")) as s:
        assert read_all(s) == b"bye\n"
        assert g.metric("cygnet_listener_half_closed", listener="db") == 1
        s.sendall(b"late words")
    wait_until(lambda: got == [b"late words"], "the rest arrives")
    assert log_lines(g)[0]["response_code_details"] == "relayed"
    assert g.metric("cygnet_listener_half_closed", listener="db") == 0


def test_a_reset_is_passed_on_both_ways(gateway, scripted):
    seen = []

    def peer(c):
        if c.recv(1) == b"r":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        c.sendall(b"k")
        seen.append(is_reset(c))

    g = gateway(tcp_config([scripted(peer).port]))
    with connect(g.port("db")) as s:
        s.sendall(b"r")
        assert is_reset(s)
    with connect(g.port("db")) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"k"
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    wait_until(lambda: seen == [True], "the upstream is reset")
    assert sorted(x["response_code_details"] for x in log_lines(g, 2)) == ["client_reset", "upstream_reset"]


# ---- real peers -------------------------------------------------------------------------------------------------------


def test_socat_ncat_and_curl_through_it(gateway, nginx, tmp_path, ends):
    n = nginx()
    port, log = free_port(), open(tmp_path / "socat.log", "wb")
    socat = Program(["socat", "TCP-LISTEN:%d,fork,reuseaddr,bind=127.0.0.1" % port, "EXEC:/usr/bin/sha256sum"], port, log=log)
    ends.callback(socat.stop)
    config = tcp_config([port])
    config["listeners"].append({"name": "web", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "nginx"})
    config["clusters"].append({"name": "nginx", "endpoints": ["127.0.0.1:%d" % n.port]})
    g = gateway(config)
    data = os.urandom(3 * MIB)
    # sha256sum answers only behind the end of its input
    for client in (["ncat", "127.0.0.1", str(g.port("db"))], ["socat", "-t20", "-", "TCP:127.0.0.1:%d" % g.port("db")]):
        out = subprocess.run(client, input=data, stdout=subprocess.PIPE, timeout=30, check=True).stdout
        assert out.split()[0].decode() == digest(data)
    got = subprocess.run(["curl", "-s", "http://127.0.0.1:%d/mib" % g.port("web")], stdout=subprocess.PIPE, timeout=30, check=True)
    with open(os.path.join(n.directory, "html", "mib"), "rb") as f:
        assert got.stdout == f.read()


def test_unix_sockets_on_both_sides(gateway, tmp_path):
    path = str(tmp_path / "up.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve():
        c, _ = server.accept()
        with c:
            echo(c)

    threading.Thread(target=serve, daemon=True).start()
    g = gateway(tcp_config(["unix:" + path], {"address": "unix:" + str(tmp_path / "down.sock")}))
    with contextlib.closing(server), socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(tmp_path / "down.sock"))
        s.sendall(b"hello")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"hello"
    assert log_lines(g)[0]["upstream_host"] == "unix:" + path


# ---- endpoints --------------------------------------------------------------------------------------------------------


def test_endpoints_take_turns_and_the_next_is_tried_when_one_refuses(gateway, scripted):
    a, b = scripted(lambda c: c.sendall(b"a")), scripted(lambda c: c.sendall(b"b"))
    g = gateway(tcp_config([a.port, refusing_port(), b.port]), env={"CYGNET_MAXPROCS": "1"})
    got = []
    for _ in range(6):
        with connect(g.port("db")) as s:
            got.append(read_all(s))
    assert sorted(got[:3]) == sorted(got[3:]) == [b"a", b"b", b"b"]
    assert {x["upstream_request_attempt_count"] for x in log_lines(g, 6)} == {1, 2}
    assert g.metric("cygnet_upstream_dial_errors_total", cluster="mysql") == 2


def test_nobody_there_is_a_reset_with_its_reason(gateway):
    port = free_port()
    g = gateway(tcp_config([port]))
    assert is_refused(g.port("db"))
    (line,) = log_lines(g)
    assert line["response_code_details"] == "no_healthy_upstream" and line["response_flags"] == "UF,UH"
    assert line["protocol"] == "TCP" and line["method"] is None and line["upstream_host"] == "127.0.0.1:%d" % port
    assert ended(g, "no_healthy_upstream", listener="db") == 1


def test_an_upstream_killed_resets_its_clients_and_others_go_on(gateway, scripted, ends):
    code = ("import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
            "s.bind(('127.0.0.1', %d)); s.listen(); cs = []\n"
            "while True:\n c, _ = s.accept(); c.sendall(b'k'); cs.append(c)")
    port, other = free_port(), scripted(lambda c: (c.sendall(b"o"), echo(c)))
    peer = Program([sys.executable, "-c", code % port], port)
    ends.callback(peer.stop)
    g = gateway(tcp_config([port, other.port]))
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(g.port("db"))) for _ in range(8)]
        for s in socks:
            s.sendall(b"unread")  # so that its end is a reset, as that of a machine that went down
        kinds = [s.recv(1) for s in socks]
        assert set(kinds) == {b"k", b"o"}
        peer.kill()
        for s, kind in zip(socks, kinds):
            if kind == b"k":
                assert is_reset(s)
            else:
                assert s.recv(6) == b"unread"
        for _ in range(4):
            with connect(g.port("db")) as s:
                assert s.recv(1) == b"o"


# ---- limits -----------------------------------------------------------------------------------------------------------


def test_idle_connections_are_reset_on_both_sides(gateway, scripted):
    seen = []

    def peer(c):
        c.sendall(b"k")
        seen.append(is_reset(c))

    g = gateway(tcp_config([scripted(peer).port], {"timeouts": {"idle": "150ms"}}))
    with connect(g.port("db")) as s:
        assert s.recv(1) == b"k"
        assert is_reset(s)
    wait_until(lambda: seen == [True], "the upstream is reset")
    assert log_lines(g)[0]["response_code_details"] == "idle_timeout"


def test_bytes_in_one_direction_keep_a_connection_alive(gateway, scripted):
    g = gateway(tcp_config([scripted(read_all).port], {"timeouts": {"idle": "1s"}}))
    with connect(g.port("db")) as s:
        for _ in range(15):  # 3 s, three times the limit
            s.sendall(b"x")
            threading.Event().wait(0.2)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b""
    assert log_lines(g)[0]["response_code_details"] == "relayed"


def test_half_closed_connections_have_a_time_of_their_own(gateway, scripted):
    seen = []

    def peer(c):
        assert read_all(c) == b"request"
        poll = select.poll()
        poll.register(c, 0)  # never answers; waits for what ends its own direction, too
        seen.append(poll.poll(20000) != [] and c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (errno.ECONNRESET, errno.EPIPE))

    g = gateway(tcp_config([scripted(peer).port], {"timeouts": {"idle": "1h", "half_closed": "150ms"}}))
    with connect(g.port("db")) as s:
        s.sendall(b"request")
        s.shutdown(socket.SHUT_WR)
        assert is_reset(s)
    wait_until(lambda: seen == [True], "the upstream is reset")
    assert log_lines(g)[0]["response_code_details"] == "half_closed_timeout"
    assert g.metric("cygnet_listener_half_closed") == 0


def test_half_closed_connections_beyond_their_limit_are_reset(gateway, scripted):
    release = threading.Event()

    def peer(c):
        read_all(c)
        release.wait(20)
        c.sendall(b"answer")

    g = gateway(tcp_config([scripted(peer).port], {"limits": {"max_half_closed": 2}}))
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(connect(g.port("db"))) for _ in range(2)]
        for s in first:
            s.shutdown(socket.SHUT_WR)
        wait_until(lambda: g.metric("cygnet_listener_half_closed") == 2, "two are half-closed")
        with connect(g.port("db")) as s:
            s.shutdown(socket.SHUT_WR)
            assert is_reset(s)
        assert log_lines(g)[0]["response_code_details"] == "half_closed_limit"
        release.set()
        assert [read_all(s) for s in first] == [b"answer"] * 2
    assert wait_until(lambda: ended(g, "relayed") == 2, "they end in order")
    assert g.metric("cygnet_listener_half_closed") == 0


def test_connections_beyond_the_cap_are_reset_at_once(gateway, scripted):
    g = gateway(tcp_config([scripted(echo).port], {"limits": {"max_connections": 2}}))
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(g.port("db"))) for _ in range(2)]
        for s in socks:
            s.sendall(b"x")
            assert s.recv(1) == b"x"
        assert is_refused(g.port("db"))
        assert log_lines(g)[0]["response_code_details"] == "connection_limit"
        assert ended(g, "connection_limit") == 1 and g.metric("cygnet_listener_connections", listener="db") == 2
    wait_until(lambda: g.metric("cygnet_listener_connections", listener="db") == 0, "they have gone")
    with connect(g.port("db")) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"


def test_one_address_cannot_take_all_connections(gateway, scripted):
    g = gateway(tcp_config([scripted(echo).port], {"limits": {"max_connections_per_address": 2}}))
    with contextlib.ExitStack() as stack:
        for _ in range(3):  # again after they have gone
            socks = [connect(g.port("db"), "127.0.0.3") for _ in range(2)]
            assert is_refused(g.port("db"), "127.0.0.3")
            other = connect(g.port("db"), "127.0.0.4")
            for s in socks + [other]:
                s.sendall(b"x")
                assert s.recv(1) == b"x"
                s.close()
            wait_until(lambda: g.metric("cygnet_listener_connections") == 0, "they have gone")
    assert ended(g, "address_limit") == 3


# ---- reload and drain -------------------------------------------------------------------------------------------------


def test_reload_opens_new_listeners_and_drains_removed_ones(gateway, scripted):
    release = threading.Event()

    def slow(c):
        c.sendall(b"k")
        release.wait(20)
        c.sendall(b"end")

    server = scripted(slow)
    config = tcp_config([server.port], drain={"timeout": "20s"})
    g = gateway(config)
    old = g.port("db")
    with connect(old) as s:
        assert s.recv(1) == b"k"
        config["listeners"][0].update(name="db2", address="127.0.0.1:%d" % free_port())
        config["version"] = "v2"
        assert g.reload(config)
        with connect(g.port("db2")) as t:
            assert t.recv(1) == b"k"
        wait_until(lambda: not accepts(old), "the old listener is closed")
        assert g.metric("cygnet_tcp_bytes_total", listener="db", direction="out") == 1  # it counts on
        release.set()
        assert read_all(s) == b"end"
    g.log.wait("listener-closed address=127.0.0.1:%d$" % old)
    last = [x for x in log_lines(g, 2) if x["listener"] == "db"][-1]
    assert last["config_version"] == "v1" and last["response_code_details"] == "relayed" and last["bytes_sent"] == 4


def test_reload_changes_limits_for_new_connections_and_leaves_old_ones(gateway, scripted):
    config = tcp_config([scripted(echo).port])
    g = gateway(config)
    with connect(g.port("db")) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        config["listeners"][0]["limits"] = {"max_connections": 1}
        for i in range(5):
            config["version"] = "r%d" % i
            assert g.reload(config)
        assert is_refused(g.port("db"))
        s.sendall(b"y")
        assert s.recv(1) == b"y"
        assert g.metric("cygnet_config_snapshots") == 1  # an open connection keeps none


def test_admin_shows_what_a_listener_runs_with(gateway, scripted):
    server = scripted(echo)
    config = tcp_config([server.port], {"proxy_protocol": {"accept_from": ["10.0.0.0/8"]}, "limits": {"max_half_closed": 3}},
                        {"proxy_protocol": {"send": "v2"}})
    config["listeners"].append({"name": "names", "address": "127.0.0.1:0", "protocol": "udp", "cluster": "mysql"})
    g = gateway(config)
    got = json.loads(g.admin_get("/config").body)
    db, names = got["listeners"]
    assert db == {"name": "db", "address": "127.0.0.1:0", "bound": "127.0.0.1:%d" % g.port("db"), "protocol": "tcp", "cluster": "mysql",
                  "timeouts": {"idle_seconds": 3600, "half_closed_seconds": 30},
                  "limits": {"max_connections": 65536, "max_connections_per_address": 0, "max_half_closed": 3},
                  "proxy_protocol": {"accept_from": ["10.0.0.0/8"], "timeout_seconds": 5}}
    assert names["protocol"] == "udp" and names["limits"] == {"max_sessions": 8192} and names["timeouts"] == {"idle_seconds": 60}
    assert got["clusters"][0]["proxy_protocol"] == {"send": "v2"}


def test_the_protocol_of_an_address_cannot_change(gateway, scripted):
    port = free_port()
    config = tcp_config([scripted(echo).port], {"address": "127.0.0.1:%d" % port})
    g = gateway(config)
    config["listeners"] = [{"name": "web", "address": "127.0.0.1:%d" % port, "routes": [{"name": "r", "cluster": "mysql"}]}]
    assert not g.reload(config)
    g.log.wait("address 127.0.0.1:%d speaks tcp" % port)


def test_reload_under_load_cuts_no_connection(gateway, scripted):
    server = scripted(echo)
    config = tcp_config([server.port], access_log={"path": "off"})
    config["listeners"].append({"name": "other", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "mysql"})
    g = gateway(config)
    stop, failed, done = threading.Event(), [], []

    def client():
        try:
            while not stop.is_set():
                with connect(g.port("db")) as s:
                    for i in range(20):
                        s.sendall(b"%08d" % i)
                        assert s.recv(8, socket.MSG_WAITALL) == b"%08d" % i
                    s.shutdown(socket.SHUT_WR)
                    assert read_all(s) == b""
                done.append(1)
        except Exception as e:  # noqa: BLE001
            failed.append(repr(e))

    threads = [threading.Thread(target=client) for _ in range(6)]
    for t in threads:
        t.start()
    for i in range(30):
        config["version"] = "r%d" % i
        config["listeners"][0]["timeouts"] = {"idle": "%dm" % (i + 1)}
        config["clusters"][0]["connect_timeout"] = "%dms" % (1000 + i)  # other endpoints, as the registry sees it
        config["listeners"][1:] = [] if i % 2 else [{"name": "n%d" % i, "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "mysql"}]
        assert g.reload(config)
    wait_until(lambda: len(done) > 50 or failed, "load")
    stop.set()
    for t in threads:
        t.join(20)
    assert failed == []
    assert ended(g, "relayed", listener="db") >= len(done)


def test_drain_lets_connections_finish_and_cuts_the_rest(gateway, scripted):
    release = threading.Event()

    def peer(c):
        c.sendall(b"k")
        if c.recv(1) == b"f":
            release.wait(20)
            c.sendall(b"finished")
        else:
            c.recv(1)

    g = gateway(tcp_config([scripted(peer).port], drain={"timeout": "2s"}))
    with connect(g.port("db")) as good, connect(g.port("db")) as stuck:
        for s, word in ((good, b"f"), (stuck, b"s")):
            assert s.recv(1) == b"k"
            s.sendall(word)
        g.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(g.port("db")), "the listener is closed")
        release.set()
        assert read_all(good) == b"finished"
        good.close()
        assert is_reset(stuck)
    assert g.ended() == 0
    g.log.wait("drained cut=1")
    endings = [x["response_code_details"] for x in log_lines(g, 2)]
    assert endings.count("drained") == 1 and "relayed" in endings


# ---- what is left behind ----------------------------------------------------------------------------------------------


def time_waits(filter_):
    out = subprocess.run(["ss", "-Htan", "state", "time-wait", "( %s )" % filter_], stdout=subprocess.PIPE, check=True).stdout
    return len(out.splitlines())


@pytest.mark.parametrize("how", ["idle", "untrusted", "down"])
def test_what_ended_in_error_leaves_no_time_wait(gateway, scripted, how):
    server = scripted(lambda c: (c.sendall(b"k"), c.recv(1)))
    port = server.port if how != "down" else refusing_port()
    listener = {"timeouts": {"idle": "50ms"}}
    if how == "untrusted":
        listener["proxy_protocol"] = {"accept_from": ["10.0.0.0/8"]}
    g = gateway(tcp_config([port], listener))
    ours = "sport = :%d or dport = :%d" % (g.port("db"), port)
    before = time_waits(ours)  # of others who had these ports
    for _ in range(50):
        with contextlib.suppress(ConnectionResetError), connect(g.port("db")) as s:
            read_all(s)
    log_lines(g, 50)
    assert time_waits(ours) <= before


def test_an_upstream_that_ends_first_keeps_the_time_wait(gateway, scripted):
    server = scripted(lambda c: c.sendall(b"all there is"))
    ours = "dport = :%d" % server.port  # the endpoint's own sockets have it as their sport
    before = time_waits(ours)  # of others who had this port
    g = gateway(tcp_config([server.port]))
    for _ in range(50):
        with connect(g.port("db")) as s:
            assert read_all(s) == b"all there is"
    log_lines(g, 50)
    assert time_waits(ours) <= before


def test_descriptors_are_back_after_thousands_of_failures(gateway, scripted):
    def peer(c):
        kind = c.recv(1)
        if kind == b"r":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif kind == b"e":
            echo(c)
        elif kind == b"w":
            c.recv(1)

    dead = refusing_port()
    config = tcp_config([scripted(peer).port], {"timeouts": {"idle": "300ms", "half_closed": "100ms"}}, access_log={"path": "off"})
    config["listeners"] += [
        {"name": "down", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "down"},
        {"name": "proxied", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "mysql",
         "proxy_protocol": {"accept_from": ["127.0.0.1"], "timeout": "100ms"}},
        {"name": "refused", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "mysql",
         "proxy_protocol": {"accept_from": ["10.0.0.1"]}},
        {"name": "capped", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "mysql",
         "limits": {"max_connections_per_address": 1, "max_half_closed": 0}, "timeouts": {"idle": "300ms"}}]
    config["clusters"].append({"name": "down", "endpoints": ["127.0.0.1:%d" % dead]})
    g = gateway(config)
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    ways = [("db", b"r"), ("db", b"e"), ("db", b"x"), ("db", b"w"), ("down", b"x"), ("proxied", b"no header\r\n"), ("proxied", header[:9]),
            ("proxied", header + b"r"), ("refused", header + b"e"), ("capped", b"e"), ("capped", b"r")]

    def one(i):
        name, data = ways[i % len(ways)]
        with contextlib.suppress(OSError), connect(g.port(name)) as s:
            s.sendall(data)
            if i % 3 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            if i % 3 == 1:
                s.shutdown(socket.SHUT_WR)
            while s.recv(4096) and i % 3 == 1:
                pass

    def run(n):
        failures = []

        def part(first):
            try:
                for i in range(first, n, 16):
                    one(i)
            except Exception as e:  # noqa: BLE001
                failures.append(repr(e))

        threads = [threading.Thread(target=part, args=(k,)) for k in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(120)
        assert failures == []

    run(200)
    wait_until(lambda: g.metric("cygnet_listener_connections") == 0, "all have ended")
    before = g.open_fds()
    run(5000)
    wait_until(lambda: g.metric("cygnet_listener_connections") == 0, "all have ended", deadline=60)
    assert g.metric("cygnet_listener_half_closed") == 0
    wait_until(lambda: g.open_fds() <= before + 2, "descriptors are back at %d" % before)
    seen = {dict(labels)["reason"] for (name, labels), v in g.metrics().items() if name == "cygnet_tcp_connections_total" and v}
    assert {"relayed", "client_reset", "upstream_reset", "no_healthy_upstream", "proxy_invalid", "proxy_timeout",
            "proxy_untrusted", "address_limit", "half_closed_limit"} <= seen
    assert g.stop() == 0
