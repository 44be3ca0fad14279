"""The PROXY protocol in and out: from trusted peers alone, with real proxies in front and behind."""
import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from harness import Nginx, accepts, base_config, free_port, raw, wait_until
from l4 import Program, connect, echo, ended, is_refused, is_reset, log_lines, read_all, tcp_config

V1 = b"PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\n"
MARK = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(client="192.0.2.7", port=56324, command=1, kind=0x11, tlvs=b""):
    addresses = socket.inet_aton(client) + socket.inet_aton("192.0.2.8") + struct.pack("!HH", port, 443)
    return MARK + bytes([0x20 | command, kind]) + struct.pack("!H", len(addresses) + len(tlvs)) + addresses + tlvs


V6 = MARK + b"\x21\x21" + struct.pack("!H", 36) + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(
    socket.AF_INET6, "2001:db8::8") + struct.pack("!HH", 56324, 443)
LOCAL = {"accept_from": ["127.0.0.1"], "timeout": "5s"}


def remote(line):
    return line["downstream_remote_address"]


# ---- in, by hand ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header,client", [(V1, "192.0.2.7:56324"), (v2(), "192.0.2.7:56324"), (V6, "[2001:db8::7]:56324"),
                                           (v2(tlvs=b"\x02\x00\x03a.b\x04\x00\x00"), "192.0.2.7:56324")],
                         ids=["v1", "v2", "v2 ipv6", "v2 with TLVs"])
@pytest.mark.parametrize("cut", [0, 1, 13], ids=["whole", "byte by byte", "in pieces"])
def test_a_header_names_the_client_and_no_byte_of_it_goes_on(gateway, scripted, header, client, cut):
    got = []
    g = gateway(tcp_config([scripted(lambda c: got.append(read_all(c))).port], {"proxy_protocol": LOCAL}))
    with connect(g.port("db")) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = header + b"the connection's own"
        for i in range(0, len(data), cut or len(data)):
            s.sendall(data[i:i + (cut or len(data))])
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b""
    wait_until(lambda: got == [b"the connection's own"], "the bytes behind the header")
    assert remote(log_lines(g)[0]) == client
    assert g.metric("cygnet_proxy_protocol_total", listener="db", result="accepted") == 1


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0), MARK + b"\x21\x00\x00\x00"], ids=["unknown", "local", "unspec"])
def test_a_proxy_that_speaks_for_itself_is_the_client(gateway, scripted, header):
    g = gateway(tcp_config([scripted(echo).port], {"proxy_protocol": LOCAL}))
    with connect(g.port("db")) as s:
        mine = s.getsockname()
        s.sendall(header + b"x")
        assert s.recv(1) == b"x"
    assert remote(log_lines(g)[0]) == "%s:%d" % mine
    assert g.metric("cygnet_proxy_protocol_total", result="local") == 1


def test_a_header_from_elsewhere_is_refused_and_never_passed_on(gateway, scripted):
    got = []
    g = gateway(tcp_config([scripted(lambda c: got.append(read_all(c))).port], {"proxy_protocol": {"accept_from": ["10.0.0.0/8"]}}))
    for _ in range(3):
        with contextlib.suppress(ConnectionResetError), connect(g.port("db")) as s:
            s.sendall(V1 + b"evil")
            assert is_reset(s)
    assert is_refused(g.port("db"))  # nor without one
    lines = log_lines(g, 4)
    assert {x["response_code_details"] for x in lines} == {"proxy_untrusted"} and all(remote(x).startswith("127.0.0.1:") for x in lines)
    assert ended(g, "proxy_untrusted") == 4 and g.metric("cygnet_proxy_protocol_total", result="untrusted") == 4
    assert got == [] and g.metric("cygnet_upstream_dials_total") == 0


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", V1[:-2] + b"\n", V1.replace(b"TCP4", b"UDP4"), v2(kind=0x12), v2(command=2),
                                  v2(tlvs=b"\x03\x00\x04abcd"), b"PROXY TCP4 " + b"1" * 200],
                         ids=["none", "bare lf", "udp", "datagram", "command", "sum", "long"])
def test_a_wrong_header_from_a_trusted_peer_is_refused(gateway, scripted, data):
    got = []
    g = gateway(tcp_config([scripted(lambda c: got.append(read_all(c))).port], {"proxy_protocol": LOCAL}))
    with connect(g.port("db")) as s:
        s.sendall(data)
        assert is_reset(s)
    assert log_lines(g)[0]["response_code_details"] == "proxy_invalid"
    assert got == [] and g.metric("cygnet_proxy_protocol_total", result="invalid") == 1


def test_half_a_header_times_out(gateway, scripted):
    g = gateway(tcp_config([scripted(echo).port], {"proxy_protocol": {"accept_from": ["127.0.0.1"], "timeout": "100ms"}}))
    with connect(g.port("db")) as s:
        s.sendall(V1[:20])
        assert is_reset(s)
    with connect(g.port("db")) as s:
        s.shutdown(socket.SHUT_WR)  # what a load balancer's probe of the port does
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(1) == b""
    assert sorted(x["response_code_details"] for x in log_lines(g, 2)) == ["client_disconnected", "proxy_timeout"]


# ---- http -------------------------------------------------------------------------------------------------------------


def test_http_takes_the_client_from_the_header(gateway, app):
    a = app()
    config = base_config([a.port], access_log={"path": "access.log", "flush_interval": "1ms"})
    config["listeners"][0].update(proxy_protocol=LOCAL, trusted=["198.51.100.0/24"])
    g = gateway(config)
    request = b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n"
    for header, want in ((V1, "192.0.2.7"), (v2("198.51.100.1"), "203.0.113.9, 198.51.100.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")):
        answer = raw(g.port(), header + request)
        fields = dict(json.loads(answer.split(b"\r\n\r\n", 1)[1])["fields"])
        assert fields["X-Forwarded-For"] == want  # 198.51.100.1 is trusted, not the proxy
    assert sorted(remote(x).rsplit(":", 1)[0] for x in log_lines(g, 3)) == ["127.0.0.1", "192.0.2.7", "198.51.100.1"]


def test_http_keeps_the_client_for_all_requests_of_a_connection(gateway, app):
    a = app()
    config = base_config([a.port], access_log={"path": "access.log", "flush_interval": "1ms"})
    config["listeners"][0].update(proxy_protocol=LOCAL)
    g = gateway(config)
    one = b"GET /status?code=204 HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(g.port()) as s:
        s.sendall(V1)
        for data in (one, one + one, one):
            s.sendall(data)
            for _ in range(data.count(b"GET")):
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += s.recv(1)
                assert answer.startswith(b"HTTP/1.1 204")
        s.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in read_all(s)
    assert {remote(x) for x in log_lines(g, 5)} == {"192.0.2.7:56324"}


def test_http_refuses_others_and_wrong_headers(gateway, app):
    a = app()
    config = base_config([a.port], access_log={"path": "access.log", "flush_interval": "1ms"})
    config["listeners"][0].update(proxy_protocol={"accept_from": ["127.0.0.1"], "timeout": "100ms"})
    g = gateway(config)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for source, data in (("127.0.0.2", V1 + request), ("127.0.0.2", request), (None, request), (None, V1[:10])):
        with connect(g.port(), source) as s:
            s.sendall(data)
            assert is_reset(s)
    lines = log_lines(g, 4)
    assert sorted(x["response_code_details"] for x in lines) == ["proxy_invalid", "proxy_timeout"] + ["proxy_untrusted"] * 2
    assert g.metric("cygnet_http_refused_total", reason="proxy_untrusted") == 2
    assert a.counts == {}
    # a reload without it: new connections are plain HTTP again
    del config["listeners"][0]["proxy_protocol"]
    assert g.reload(config)
    assert raw(g.port(), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


# ---- real proxies -----------------------------------------------------------------------------------------------------


def haproxy(tmp_path, ends, text, port):
    path = tmp_path / ("haproxy%d.cfg" % port)
    path.write_text("defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n" + text)
    program = Program([shutil.which("haproxy") or "/usr/sbin/haproxy", "-f", str(path), "-db"], port)
    ends.callback(program.stop)


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])
def test_haproxy_in_front(gateway, scripted, tmp_path, ends, send):
    g = gateway(tcp_config([scripted(echo).port], {"proxy_protocol": LOCAL}))
    port = free_port()
    haproxy(tmp_path, ends, "listen l\n  bind 127.0.0.1:%d\n  server s 127.0.0.1:%d %s\n" % (port, g.port("db"), send), port)
    with connect(port, "127.0.0.9") as s:
        mine = "%s:%d" % s.getsockname()
        s.sendall(b"through two proxies")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"through two proxies"
    assert mine in wait_until(lambda: [remote(x) for x in log_lines(g)] if mine in [remote(x) for x in log_lines(g)] else None, "its line")


def nginx_stream(tmp_path, ends, server, port):
    directory = tmp_path / "stream"
    directory.mkdir()
    (directory / "nginx.conf").write_text("""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; error_log stderr error; pid %s/nginx.pid;
events {}
stream { server { listen 127.0.0.1:%d; %s } }
""" % (directory, port, server))
    program = Program([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr"],
                      port)
    ends.callback(program.stop)


@pytest.mark.skipif(not os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"), reason="nginx without its stream module")
def test_nginx_stream_in_front(gateway, scripted, tmp_path, ends):
    g = gateway(tcp_config([scripted(echo).port], {"proxy_protocol": LOCAL}))
    port = free_port()
    nginx_stream(tmp_path, ends, "proxy_protocol on; proxy_pass 127.0.0.1:%d;" % g.port("db"), port)
    with connect(port, "127.0.0.9") as s:
        mine = "%s:%d" % s.getsockname()
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    assert mine in wait_until(lambda: [remote(x) for x in log_lines(g)] if mine in [remote(x) for x in log_lines(g)] else None, "its line")


def test_curl_in_front_of_http(gateway, app):
    a = app()
    config = base_config([a.port])
    config["listeners"][0].update(proxy_protocol=LOCAL)
    g = gateway(config)
    out = subprocess.run(["curl", "-s", "--haproxy-protocol", "--interface", "127.0.0.1", "http://127.0.0.1:%d/echo" % g.port()],
                         stdout=subprocess.PIPE, timeout=20, check=True).stdout
    assert dict(json.loads(out)["fields"])["X-Forwarded-For"] == "127.0.0.1"
    assert g.metric("cygnet_proxy_protocol_total", listener="web", result="accepted") == 1


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_behind_sees_the_client(gateway, tmp_path, ends, version):
    directory = tmp_path / "behind"
    directory.mkdir()
    n = Nginx(directory)
    ends.callback(n.stop)
    n.stop()
    conf = directory / "nginx.conf"
    text = conf.read_text()
    text = re.sub(r"listen 127.0.0.1:(\d+)", r"listen 127.0.0.1:\1 proxy_protocol", text)
    conf.write_text(text.replace('return 200 "nginx\\n";',
                                 'return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_port\\n";'))
    n.start()
    g = gateway(tcp_config([n.port], cluster={"proxy_protocol": {"send": version}}))
    with connect(g.port("db"), "127.0.0.9") as s:
        mine = "%s:%d" % s.getsockname()
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(s).endswith(("\r\n\r\n%s %d\n" % (mine, g.port("db"))).encode())


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_behind_takes_the_header_and_sends_its_own(gateway, scripted, tmp_path, ends, version):
    got = []
    server = scripted(lambda c: (got.append(c.recv(4096, socket.MSG_PEEK)), echo(c)))
    port = free_port()
    haproxy(tmp_path, ends, "listen l\n  bind 127.0.0.1:%d accept-proxy\n  server s 127.0.0.1:%d send-proxy\n" % (port, server.port), port)
    g = gateway(tcp_config([port], {"proxy_protocol": LOCAL}, {"proxy_protocol": {"send": version}}))
    with connect(g.port("db")) as s:  # the client that a first proxy told us of goes on to the last
        s.sendall(v2("192.0.2.99", 4711) + b"x")
        s.shutdown(socket.SHUT_WR)
        read_all(s)
    assert got[-1].startswith(b"PROXY TCP4 192.0.2.99 192.0.2.8 4711 443\r\n")


def test_ipv6_and_ipv4_within_it_are_told_apart(gateway, scripted):
    got = []
    server = scripted(lambda c: got.append(read_all(c)))
    g = gateway(tcp_config([server.port], {"address": "[::]:0"}, {"proxy_protocol": {"send": "v1"}}))
    port = int(g.log.wait(r"listening name=db address=\[::\]:(\d+)").group(1))
    for host, begin in (("127.0.0.1", b"PROXY TCP4 127.0.0.1 127.0.0.1 "), ("::1", b"PROXY TCP6 ::1 ::1 ")):
        with socket.create_connection((host, port), timeout=20) as s:
            s.shutdown(socket.SHUT_WR)
            read_all(s)
        wait_until(lambda: got and got[-1].startswith(begin), "the header %r: %r" % (begin, got))


def test_header_and_bytes_under_load(gateway, scripted):
    """Many at once through two of our own: the header of one never reaches another."""
    def peer(c):
        data = read_all(c)
        head, _, body = data.partition(b"\r\n")
        c.sendall(head.split(b" ")[2] + b" " + body)

    inner = gateway(tcp_config([scripted(peer).port], {"proxy_protocol": LOCAL}, {"proxy_protocol": {"send": "v1"}}, access_log={"path": "off"}))
    outer = gateway(tcp_config([inner.port("db")], cluster={"proxy_protocol": {"send": "v2"}}, access_log={"path": "off"}))
    failed = []

    def run(k):
        source = "127.0.1.%d" % (k + 1)
        for i in range(100):
            body = b"%d:%d" % (k, i)
            with connect(outer.port("db"), source) as s:
                s.sendall(body)
                s.shutdown(socket.SHUT_WR)
                if read_all(s) != source.encode() + b" " + body:
                    failed.append((k, i))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert failed == [] and accepts(outer.port("db"))
    assert inner.metric("cygnet_proxy_protocol_total", result="accepted") >= 800
