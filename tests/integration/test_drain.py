"""SIGTERM: no more connections, requests in flight finish, exit status 0; and what happens at the deadline."""
import http.client
import signal
import socket
import threading

from harness import base_config, raw, request, wait_until


class Client(threading.Thread):
    """Asks over a kept-alive connection until nobody accepts any more. A connection that ends before a byte of an answer is
    HTTP's own race (RFC 9112 section 9.3.1) and may be asked again; an answer that has begun must be whole."""

    def __init__(self, port):
        super().__init__()
        self.port, self.served, self.cut = port, 0, []

    def run(self):
        while True:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                c.connect()
            except OSError:
                return
            try:
                while self.ask(c):
                    pass
            finally:
                c.close()

    def ask(self, c):
        try:
            c.request("GET", "/mib")
            r = c.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            return False
        try:
            body = r.read()
            if r.status != 200 or len(body) != 1 << 20:
                self.cut.append((r.status, len(body)))
            self.served += 1
        except (http.client.IncompleteRead, ConnectionError) as e:
            self.cut.append(repr(e))
        return not r.will_close


def test_drain_under_load_cuts_no_answer(gateway, nginx):
    n = nginx()
    g = gateway(base_config([n.port]))
    clients = [Client(g.port()) for _ in range(8)]
    for c in clients:
        c.start()
    wait_until(lambda: all(c.served > 5 for c in clients), "every client is served")
    assert g.stop() == 0
    for c in clients:
        c.join(20)
        assert c.cut == []
    g.log.wait("info drained cut=0")


def test_request_in_flight_finishes_and_readyz_fails_meanwhile(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    assert g.admin_get("/readyz").status == 200
    got = []
    t = threading.Thread(target=lambda: got.append(raw(g.port(), b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")))
    t.start()
    wait_until(lambda: a.counts.get("/slow") == 1, "the request is upstream")
    g.process.send_signal(signal.SIGTERM)
    wait_until(lambda: g.admin_get("/readyz").status == 503, "/readyz fails")
    assert g.admin_get("/healthz").status == 200
    assert g.metric("cygnet_draining") == 1
    with socket.socket() as s:
        wait_until(lambda: s.connect_ex(("127.0.0.1", g.port())) != 0, "the listener is closed")
    a.hold.set()
    t.join(20)
    assert got[0].startswith(b"HTTP/1.1 200") and got[0].endswith(b"slow\n")
    assert b"connection: close" in got[0].lower()
    assert g.ended() == 0


def test_deadline_cuts_and_says_how_many(gateway, app):
    a = app()
    g = gateway(base_config([a.port], drain={"timeout": "200ms"}))
    threads = [threading.Thread(target=raw, args=(g.port(), b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")) for _ in range(3)]
    for t in threads:
        t.start()
    wait_until(lambda: a.counts.get("/slow") == 3, "three requests are upstream")
    assert g.stop() == 0
    for t in threads:
        t.join(20)
    g.log.wait("warning drained cut=3")


def test_second_signal_ends_at_once(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    with socket.create_connection(("127.0.0.1", g.port())) as s:
        s.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: a.counts.get("/slow") == 1, "the request is upstream")
        g.process.send_signal(signal.SIGTERM)
        g.log.wait("info draining")
        assert g.stop(signal.SIGINT, deadline=5) == 1


def test_idle_connections_do_not_hold_the_drain_up(gateway, app):
    a = app()
    g = gateway(base_config([a.port]))
    idle = [socket.create_connection(("127.0.0.1", g.port())) for _ in range(50)]
    for s in idle:
        s.settimeout(20)
        s.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 200")
    assert g.stop(deadline=5) == 0
    for s in idle:
        assert s.recv(100) == b""
        s.close()


def test_ends_without_ever_having_been_asked(gateway):
    g = gateway(base_config([1]))
    assert g.stop(signal.SIGINT) == 0
