"""Listeners of udp: datagrams there and back by client, sessions that end, are bounded and survive what endpoints do."""
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from harness import free_port, wait_until
from l4 import log_lines


class UdpServer:
    """Answers each datagram with what function(data, client) returns (None: nothing), on a thread."""

    def __init__(self, function, port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.function, self.seen, self.ended = function, [], False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                data, client = self.socket.recvfrom(65536)
                if self.ended:
                    return
                self.seen.append((data, client))
                answer = self.function(data, client)
                for a in answer if isinstance(answer, list) else [answer]:
                    if a is not None:
                        self.socket.sendto(a, client)

    def stop(self):
        self.ended = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the reader
        self.thread.join(20)  # until its recvfrom has returned the port takes datagrams, and the kernel tells nobody
        self.socket.close()


@pytest.fixture
def udp_server(ends):
    def start(function=lambda data, _: data, port=0):
        s = UdpServer(function, port)
        ends.callback(s.stop)
        return s

    return start


def udp_config(endpoints, listener=None, cluster=None, **more):
    config = {
        "version": "v1",
        "listeners": [dict({"name": "names", "address": "127.0.0.1:0", "protocol": "udp", "cluster": "dns"}, **(listener or {}))],
        "clusters": [dict({"name": "dns", "endpoints": ["127.0.0.1:%d" % p for p in endpoints]}, **(cluster or {}))],
        "admin": {"address": "127.0.0.1:0"},
        "access_log": {"path": "access.log", "flush_interval": "1ms"},
    }
    config.update(more)
    return config


def client(port, source="127.0.0.1", host="127.0.0.1"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.bind((source, 0))
    s.connect((host, port))
    return s


def ask(s, data):
    s.send(data)
    return s.recv(65536)


def sessions(g):
    return g.metric("cygnet_listener_sessions", listener="names")


def test_datagrams_there_and_back_by_client(gateway, udp_server):
    server = udp_server(lambda data, c: b"%s for %d" % (data, c[1]))
    g = gateway(udp_config([server.port]))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(g.port("names"))) for _ in range(50)]
        for round_ in range(3):
            for i, s in enumerate(clients):
                s.send(b"%d.%d" % (i, round_))
            answers = [s.recv(100).split(b" for ") for s in clients]
            assert [a[0] for a in answers] == [b"%d.%d" % (i, round_) for i in range(50)]
            if round_ == 0:
                ports = [a[1] for a in answers]
            assert [a[1] for a in answers] == ports  # the same socket towards the endpoint
        assert len(set(ports)) == 50 and sessions(g) == 50
    assert g.metric("cygnet_udp_datagrams_total", listener="names", direction="in") == 150
    assert g.metric("cygnet_udp_datagrams_total", listener="names", direction="out") == 150


def test_sizes_from_nothing_to_the_largest(gateway, udp_server):
    g = gateway(udp_config([udp_server().port]))
    with client(g.port("names")) as s:
        for n in (0, 1, 1472, 1473, 9000, 65507):
            data = os.urandom(n)
            assert ask(s, data) == data


def test_bursts_both_ways_keep_their_boundaries(gateway, udp_server):
    server = udp_server(lambda data, _: [b"%s/%d" % (data, i) + b"x" * (i % 7) for i in range(20)])
    g = gateway(udp_config([server.port]))
    with client(g.port("names")) as s:
        for burst in range(20):
            for i in range(5):
                s.send(b"q%d%d" % (burst, i))
            want = sorted(b"q%d%d/%d" % (burst, i, k) + b"x" * (k % 7) for i in range(5) for k in range(20))
            assert sorted(s.recv(100) for _ in range(100)) == want


def test_what_a_client_sends_joined_arrives_apart(gateway, udp_server):
    """UDP_SEGMENT at the client: loopback hands one large buffer on, which the gateway may pass on whole but not as one datagram."""
    server = udp_server(lambda data, _: None)
    g = gateway(udp_config([server.port]))
    with client(g.port("names")) as s:
        s.setsockopt(socket.IPPROTO_UDP, 103, 100)  # UDP_SEGMENT
        s.send(bytes(range(250)))
        wait_until(lambda: len(server.seen) == 3, "three datagrams")
    assert [d for d, _ in server.seen] == [bytes(range(100)), bytes(range(100, 200)), bytes(range(200, 250))]
    assert g.metric("cygnet_udp_datagrams_total", direction="in") == 3


def test_idle_sessions_end_with_a_line(gateway, udp_server):
    server = udp_server()
    g = gateway(udp_config([server.port], {"timeouts": {"idle": "200ms"}}))
    with client(g.port("names")) as s:
        mine = "127.0.0.1:%d" % s.getsockname()[1]
        assert ask(s, b"12345") == b"12345"
        (line,) = log_lines(g)
        assert {k: line[k] for k in ("protocol", "response_code_details", "response_flags", "bytes_received", "bytes_sent",
                                     "downstream_remote_address", "upstream_host", "upstream_cluster", "listener")} == {
            "protocol": "UDP", "response_code_details": "session_expired", "response_flags": "-", "bytes_received": 5,
            "bytes_sent": 5, "downstream_remote_address": mine, "upstream_host": "127.0.0.1:%d" % server.port,
            "upstream_cluster": "dns", "listener": "names"}
        assert line["duration"] >= 200
        wait_until(lambda: sessions(g) == 0, "the session has gone")
        assert ask(s, b"again") == b"again"  # by a new one
    assert g.metric("cygnet_udp_sessions_total", reason="session_expired") >= 1


def test_a_session_lives_while_datagrams_come_in_either_direction(gateway, udp_server):
    server = udp_server(lambda data, _: None)
    g = gateway(udp_config([server.port], {"timeouts": {"idle": "1s"}}))
    with client(g.port("names")) as s:
        for _ in range(10):  # 2 s, one way
            s.send(b"x")
            threading.Event().wait(0.2)
        peers = {c for _, c in wait_until(lambda: server.seen if len(server.seen) == 10 else None, "all have come")}
        assert len(peers) == 1
        for _ in range(10):  # and the other
            server.socket.sendto(b"y", list(peers)[0])
            assert s.recv(1) == b"y"
            threading.Event().wait(0.2)
        assert sessions(g) == 1


def test_new_clients_beyond_the_cap_are_dropped_and_others_go_on(gateway, udp_server):
    g = gateway(udp_config([udp_server().port], {"limits": {"max_sessions": 3}, "timeouts": {"idle": "1s"}}))
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(client(g.port("names"))) for _ in range(3)]
        for s in first:
            assert ask(s, b"x") == b"x"
        late = stack.enter_context(client(g.port("names")))
        late.send(b"dropped")
        wait_until(lambda: g.metric("cygnet_udp_sessions_total", reason="session_limit") == 1, "it is counted")
        for s in first:
            assert ask(s, b"y") == b"y"
        wait_until(lambda: sessions(g) == 0, "they have expired")
        assert ask(late, b"z") == b"z"


def test_an_endpoint_that_is_gone_is_left_for_the_next(gateway, udp_server):
    gone, server = free_port(), udp_server()
    g = gateway(udp_config([gone, server.port]), env={"CYGNET_MAXPROCS": "1"})
    for _ in range(4):
        with client(g.port("names")) as s:

            def works():  # the first datagram to a closed port is lost: the answer to it is what tells
                s.send(b"x")
                s.settimeout(0.2)
                with contextlib.suppress(socket.timeout):
                    return s.recv(1) == b"x"

            wait_until(works, "an answer")
    assert "no_healthy_upstream" in {x["response_code_details"] for x in log_lines(g, 2)}


def test_an_endpoint_killed_and_started_again(gateway, udp_server):
    server = udp_server()
    g = gateway(udp_config([server.port]))
    with client(g.port("names")) as s:
        assert ask(s, b"x") == b"x"
        server.stop()
        s.send(b"lost")
        wait_until(lambda: g.metric("cygnet_udp_sessions_total", reason="no_healthy_upstream") == 1, "the kernel tells")
        udp_server(port=server.port)
        assert ask(s, b"y") == b"y"


def test_dnsmasq_behind_and_dig_in_front(gateway, ends):
    port = free_port()
    process = subprocess.Popen([shutil.which("dnsmasq") or "/usr/sbin/dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                                "--conf-file=/dev/null", "--pid-file=", "--user=root", "--listen-address=127.0.0.1", "--bind-interfaces",
                                "--port=%d" % port, "--address=/shop.example/192.0.2.44"], stderr=subprocess.DEVNULL)
    ends.callback(lambda: (process.kill(), process.wait()))
    config = udp_config([port])
    config["listeners"].append({"name": "tcp", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "dns"})
    g = gateway(config)

    def dig(*args):
        out = subprocess.run(["dig", "+short", "+tries=1", "+time=1", "@127.0.0.1", "www.shop.example", *args], stdout=subprocess.PIPE)
        return out.stdout.strip()

    wait_until(lambda: dig("-p", str(port)) == b"192.0.2.44", "dnsmasq answers")
    assert dig("-p", str(g.port("names"))) == b"192.0.2.44"
    assert dig("+tcp", "-p", str(g.port("tcp"))) == b"192.0.2.44"


def test_socat_and_ncat(gateway, ends):
    port = free_port()
    socat = subprocess.Popen(["socat", "UDP-RECVFROM:%d,fork,bind=127.0.0.1" % port, "EXEC:/usr/bin/tr a-z A-Z"])
    ends.callback(lambda: (socat.kill(), socat.wait()))
    g = gateway(udp_config([port]))
    out = wait_until(lambda: subprocess.run(["socat", "-t1", "-", "UDP:127.0.0.1:%d" % g.port("names")], input=b"hello\n",
                                            stdout=subprocess.PIPE, timeout=20).stdout, "an answer")
    assert out == b"HELLO\n"


@pytest.mark.parametrize("version", ["v2"])
def test_the_header_is_in_each_datagram(gateway, udp_server, version):
    server = udp_server()
    g = gateway(udp_config([server.port], cluster={"proxy_protocol": {"send": version}}))
    with client(g.port("names"), "127.0.0.7") as s:
        want = b"\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c" + socket.inet_aton("127.0.0.7") + socket.inet_aton("127.0.0.1") + struct.pack(
            "!HH", s.getsockname()[1], g.port("names"))
        for data in (b"one", b"", b"three"):
            assert ask(s, data) == want + data  # our echo server knows nothing of it
        s.setsockopt(socket.IPPROTO_UDP, 103, 2)
        s.send(b"aabbc")
        assert [s.recv(100)[len(want):] for _ in range(3)] == [b"aa", b"bb", b"c"]


def test_replies_come_from_the_address_that_was_asked(gateway, udp_server):
    g = gateway(udp_config([udp_server().port], {"address": "0.0.0.0:0"}))
    for host in ("127.0.0.5", "127.0.0.6"):
        with client(g.port("names"), host=host) as s:  # connected: takes answers from there alone
            assert ask(s, b"x") == b"x"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # one client, two of our addresses
        s.settimeout(20)
        for host in ("127.0.0.5", "127.0.0.6", "127.0.0.5"):
            s.sendto(b"x", (host, g.port("names")))
            assert s.recvfrom(10) == (b"x", (host, g.port("names")))


def test_ipv6_clients_and_ipv4_endpoints(gateway, udp_server):
    g = gateway(udp_config([udp_server().port], {"address": "[::]:0"}))
    port = int(g.log.wait(r"listening name=names address=\[::\]:(\d+)").group(1))
    for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect((host, port))
            assert ask(s, b"x") == b"x"


def test_reload_and_drain(gateway, udp_server):
    release = threading.Event()

    def slow(data, _):
        if data == b"slow":
            release.wait(20)
        return data

    config = udp_config([udp_server(slow).port], drain={"timeout": "20s"})
    g = gateway(config)
    old = g.port("names")
    with client(old) as s, client(old) as idle:
        assert ask(idle, b"x") == b"x"
        s.send(b"slow")
        wait_until(lambda: sessions(g) == 2, "both have a session")
        config["version"] = "v2"
        config["listeners"][0].update(address="127.0.0.1:%d" % free_port(), name="other")
        assert g.reload(config)
        release.set()
        assert s.recv(10) == b"slow"  # what was under way
        g.log.wait("listener-closed address=127.0.0.1:%d$" % old)
        with client(g.port("other")) as t:
            assert ask(t, b"y") == b"y"
            g.process.send_signal(signal.SIGTERM)
            assert g.ended() == 0
    g.log.wait("drained cut=0")
    assert {x["config_version"] for x in log_lines(g, 3)} == {"v1", "v2"}


def test_descriptors_are_back_after_thousands_of_sessions(gateway, udp_server):
    server = udp_server(lambda data, _: data if data[0] & 1 else None)
    config = udp_config([server.port, free_port()], {"timeouts": {"idle": "200ms"}, "limits": {"max_sessions": 500}}, access_log={"path": "off"})
    g = gateway(config)
    with client(g.port("names")) as s:
        s.send(b"\x01")
    wait_until(lambda: sessions(g) == 0, "all have ended")
    before = g.open_fds()
    for i in range(5000):
        with client(g.port("names")) as s:
            s.send(bytes([i & 255]))
    wait_until(lambda: sessions(g) == 0, "all have ended")
    wait_until(lambda: g.open_fds() <= before, "descriptors are back at %d" % before)
    assert 5001 == (g.metric("cygnet_udp_datagrams_total", direction="in") + g.metric("cygnet_udp_dropped_total")
                    + g.metric("cygnet_udp_sessions_total", reason="session_limit") + g.metric("cygnet_listener_receive_drops_total"))
    with client(g.port("names")) as s:
        s.settimeout(0.2)

        def answered():
            s.send(b"\x01")
            with contextlib.suppress(socket.timeout):
                return s.recv(1) == b"\x01"

        wait_until(answered, "an answer")
    assert g.stop() == 0
