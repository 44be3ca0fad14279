"""What the integration tests share: the gateway as a process, real upstreams behind it, and waiting for conditions.

Nothing here sleeps to synchronise: wait_until asks again and again until a deadline. Listeners use port 0; the ports that the
kernel chose are read from the gateway's own log.
"""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CYGNET_BUILD") or os.path.join(ROOT, "build")
CYGNET = os.path.join(BUILD, "cygnet")
DEADLINE = float(os.environ.get("CYGNET_TEST_DEADLINE", "20"))


def sanitized():
    """Whether the binary brings a sanitizer's allocator: then memory says nothing about the gateway."""
    with open(CYGNET, "rb") as f:
        text = f.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def wait_until(condition, what, deadline=DEADLINE):
    """Calls condition until it returns something true, and returns that."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (deadline, what))
        time.sleep(0.01)


def free_port():
    """A port that nothing listens on; only for programs that cannot be told to take port 0."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


_refusing = []


def refusing_port():
    """A port at which connections are refused as long as the tests run: bound, so that nobody else is given it, and never listened on."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    _refusing.append(s)
    return s.getsockname()[1]


def accepts(port):
    with contextlib.closing(socket.socket()) as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Output:
    """The lines that a process writes to a pipe, collected by a thread."""

    def __init__(self, pipe):
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        for line in pipe:
            with self.changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, pattern, after=0, deadline=DEADLINE):
        """The match of the first line from index `after` on that pattern is found in."""
        end = time.monotonic() + deadline
        with self.changed:
            at = after
            while True:
                for i in range(at, len(self.lines)):
                    m = re.search(pattern, self.lines[i])
                    if m:
                        return m
                at = len(self.lines)
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    raise AssertionError("no line with %r in:\n%s" % (pattern, "\n".join(self.lines)))
                self.changed.wait(left)

    def text(self):
        return "\n".join(self.lines)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def field(self, name):
        for k, v in self.headers:
            if k.lower() == name.lower():
                return v
        return None

    def json(self):
        return json.loads(self.body)


def request(port, method, path, headers=None, body=None, timeout=DEADLINE, chunked=False):
    """One request on a connection of its own."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request(method, path, body=body, headers=headers or {}, encode_chunked=chunked)
        r = c.getresponse()
        return Reply(r.status, r.getheaders(), r.read())
    finally:
        c.close()


def raw(port, data, timeout=DEADLINE):
    """Sends bytes, ends our direction, and returns all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        out = b""
        while True:
            try:
                piece = s.recv(65536)
            except ConnectionResetError:
                return out
            if not piece:
                return out
            out += piece


def base_config(endpoints, **more):
    """One listener "web", one cluster "app", all requests to it."""
    config = {
        "version": "v1",
        "listeners": [{"name": "web", "address": "127.0.0.1:0",
                       "routes": [{"name": "all", "cluster": "app"}]}],
        "clusters": [{"name": "app", "endpoints": ["127.0.0.1:%d" % p for p in endpoints]}],
        "admin": {"address": "127.0.0.1:0"},
        "access_log": {"path": "off"},
    }
    config.update(more)
    return config


def parse_metrics(text):
    """{(name, frozenset of labels): value}"""
    out = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        m = re.match(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$', line)
        assert m, line
        labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m.group(2) or ""))
        assert (m.group(1), labels) not in out, "twice: " + line
        out[(m.group(1), labels)] = float(m.group(3))
    return out


class Gateway:
    """`cygnet gateway` with a configuration given as a dictionary (JSON is YAML)."""

    def __init__(self, directory, config, env=None, prefix=(), stdout=subprocess.DEVNULL):
        self.directory = str(directory)
        self.file = os.path.join(self.directory, "gateway.yaml")
        self.write(config)
        full_env = dict(os.environ)
        full_env.update(env or {})
        self.process = subprocess.Popen(list(prefix) + [CYGNET, "gateway", "-c", self.file], stderr=subprocess.PIPE,
                                        stdout=stdout, env=full_env, cwd=self.directory)
        self.log = Output(self.process.stderr)
        self.pid = int(self.log.wait(r" info started .*pid=(\d+)").group(1))
        self.admin = None
        if "admin" in config:
            self.admin = self.port("admin")

    def write(self, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        with open(self.file + ".new", "w") as f:
            f.write(text)
        os.rename(self.file + ".new", self.file)

    def port(self, name="web", after=0):
        return int(self.log.wait(r" info listening name=%s address=\S+:(\d+)" % name, after).group(1))

    def get(self, path="/", **kw):
        return request(self.port(), "GET", path, **kw)

    def admin_get(self, path):
        return request(self.admin, "GET", path)

    def metrics(self):
        return parse_metrics(self.admin_get("/metrics").body.decode())

    def metric(self, name, **labels):
        """The sum over all samples that have these labels."""
        want = set(labels.items())
        return sum(v for (n, l), v in self.metrics().items() if n == name and want <= l)

    def reload(self, config=None):
        """Writes a new configuration and waits for the verdict: True if it was applied."""
        if config is not None:
            self.write(config)
        after = len(self.log.lines)
        os.kill(self.pid, signal.SIGHUP)
        return self.log.wait(r"config-(applied|rejected)", after).group(1) == "applied"

    def stop(self, sig=signal.SIGTERM, deadline=DEADLINE):
        """Ends it and returns the exit status."""
        if self.process.poll() is None:
            os.kill(self.pid, sig)
        return self.ended(deadline)

    def ended(self, deadline=DEADLINE):
        """Waits for the end and returns the exit status."""
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGQUIT)  # shows what it hangs on
            with contextlib.suppress(AssertionError):
                self.log.wait("(?!)", deadline=1)
            self.process.kill()
            self.process.wait()
            raise AssertionError("the gateway did not end:\n" + self.log.text())

    def open_fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def status(self, key):
        with open("/proc/%d/status" % self.pid) as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        raise KeyError(key)


# ---- upstreams ------------------------------------------------------------------------------------------------------


class App(http.server.BaseHTTPRequestHandler):
    """An upstream with a path for each behaviour."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        ok = super().handle_expect_100()
        self.wfile.flush()
        return ok

    def send(self, status, body=b"", fields=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for k, v in fields:
            self.send_header(k, v)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while True:
            n = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(n)
            self.rfile.readline()
            if n == 0:
                return body

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.count(url.path)
        method = getattr(self, "at" + url.path.replace("/", "_").replace("-", "_"), None)
        if method:
            method(query)
        else:
            self.at_echo(query)

    do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = do_DELETE = handle_any

    def at_echo(self, _query):
        body = self.read_body()
        self.send(200, json.dumps({"method": self.command, "target": self.path, "fields": list(self.headers.items()),
                                   "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}).encode())

    def at_status(self, query):
        self.send(int(query["code"]), b"" if query["code"] in ("204", "304") else b"as you wish\n")

    def at_bytes(self, query):
        self.send(200, body_bytes(int(query["n"])))

    def at_chunked(self, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = body_bytes(int(query["n"]))
        for i in range(0, len(body), 7001):
            piece = body[i:i + 7001]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def at_until_close(self, query):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body_bytes(int(query["n"])))
        self.close_connection = True

    def at_hop(self, _query):
        self.send(200, b"hop\n", [("Connection", "X-Secret, keep-alive"), ("X-Secret", "1"), ("Keep-Alive", "timeout=60"),
                                  ("Proxy-Connection", "keep-alive"), ("X-Kept", "2")])

    def at_slow(self, query):
        self.server.hold.wait(float(query.get("s", "60")))
        self.send(200, b"slow\n")

    def at_drop(self, _query):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def at_garbage(self, _query):
        self.close_connection = True
        self.wfile.write(b"this is not HTTP\r\n\r\n")

    def at_bad_length(self, _query):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")

    def at_cut(self, _query):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")

    def at_early_hints(self, _query):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        self.wfile.flush()
        self.send(200, b"final\n")


def body_bytes(n):
    """n bytes that do not repeat soon."""
    block = b"".join(b"%08d" % i for i in range(0, 131072))
    return (block * (n // len(block) + 1))[:n]


class AppServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port=0):
        self.counts = {}
        self.lock = threading.Lock()
        self.hold = threading.Event()  # /slow waits for it
        self.open = set()
        super().__init__(("127.0.0.1", port), App)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def count(self, path):
        with self.lock:
            self.counts[path] = self.counts.get(path, 0) + 1

    def handle_error(self, *_):
        pass  # clients that leave are part of the tests

    def process_request(self, request, client_address):
        with self.lock:
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self.lock:
            self.open.discard(request)
        super().shutdown_request(request)

    def stop(self):
        """Ends its connections too, which their threads would go on serving."""
        self.hold.set()
        self.shutdown()
        self.server_close()
        with self.lock:
            for c in self.open:
                with contextlib.suppress(OSError):
                    c.shutdown(socket.SHUT_RDWR)


class Scripted:
    """An upstream that gives every connection to a function, on a thread each."""

    def __init__(self, function):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.function = function
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        with contextlib.closing(c), contextlib.suppress(OSError):
            self.function(c)

    def stop(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Nginx:
    """nginx in the foreground, from a directory of its own."""

    def __init__(self, directory, port=None):
        self.directory = str(directory)
        self.port = port or free_port()
        for name in ("logs", "tmp", "html"):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        with open(os.path.join(self.directory, "html", "mib"), "wb") as f:
            f.write(body_bytes(1 << 20))
        with open(os.path.join(self.directory, "nginx.conf"), "w") as f:
            f.write("""
worker_processes 1;
daemon off;
master_process off;
error_log stderr error;
pid %(d)s/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %(d)s/tmp/body; proxy_temp_path %(d)s/tmp/proxy; fastcgi_temp_path %(d)s/tmp/fastcgi;
  uwsgi_temp_path %(d)s/tmp/uwsgi; scgi_temp_path %(d)s/tmp/scgi;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    root %(d)s/html;
    location = / { return 200 "nginx\\n"; }
  }
}
""" % {"d": self.directory, "port": self.port})
        self.start()

    def start(self):
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.directory, "-c",
                                         os.path.join(self.directory, "nginx.conf"), "-e", "stderr"],
                                        stderr=subprocess.DEVNULL)
        wait_until(lambda: accepts(self.port), "nginx accepts")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


class Wrk:
    """A run of wrk in the background."""

    def __init__(self, port, seconds, connections=16, path="/"):
        self.process = subprocess.Popen(["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "10s",
                                         "http://127.0.0.1:%d%s" % (port, path)],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def running(self):
        return self.process.poll() is None

    def result(self):
        """(requests, answers other than 2xx and 3xx, socket errors by kind)"""
        text = self.process.communicate(timeout=60)[0].decode()
        total = int(re.search(r"(\d+) requests in", text).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        kinds = ("connect", "read", "write", "timeout")
        return total, int(bad.group(1)) if bad else 0, dict(zip(kinds, map(int, errors.groups()))) if errors else {}
