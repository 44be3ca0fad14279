"""What the tests of tcp and udp listeners share."""
import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading

from harness import DEADLINE, accepts, body_bytes, wait_until

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a reset


def tcp_config(endpoints, listener=None, cluster=None, **more):
    """One listener "db" of tcp, one cluster "mysql" (ports, or addresses)."""
    config = {
        "version": "v1",
        "listeners": [dict({"name": "db", "address": "127.0.0.1:0", "protocol": "tcp", "cluster": "mysql"}, **(listener or {}))],
        "clusters": [dict({"name": "mysql", "endpoints": [e if isinstance(e, str) else "127.0.0.1:%d" % e for e in endpoints]},
                          **(cluster or {}))],
        "admin": {"address": "127.0.0.1:0"},
        "access_log": {"path": "access.log", "flush_interval": "1ms"},
    }
    config.update(more)
    return config


def connect(port, source=None, timeout=DEADLINE):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0) if source else None)


def read_all(s):
    """What comes until the end of the stream."""
    out = b""
    while True:
        piece = s.recv(1 << 16)
        if not piece:
            return out
        out += piece


def is_reset(s):
    """Waits for the end of the connection: True for a reset, False for an orderly end; bytes before it are an error."""
    try:
        data = s.recv(1)
    except ConnectionResetError:
        return True
    assert data == b"", data
    return False


def is_refused(port, source=None):
    """Connects: True if that is answered with a reset, which may come before connect has returned."""
    try:
        with connect(port, source) as s:
            return is_reset(s)
    except ConnectionResetError:
        return True


def log_lines(g, n=1):
    """The access log, once it has at least n lines."""
    path = os.path.join(g.directory, "access.log")

    def read():
        if not os.path.exists(path):
            return None
        with open(path, "rb") as f:
            lines = [json.loads(line) for line in f.read().split(b"\n")[:-1]]
        return lines if len(lines) >= n else None

    return wait_until(read, "%d lines in the access log" % n)


def ended(g, reason, **labels):
    return g.metric("cygnet_tcp_connections_total", reason=reason, **labels)


def echo(c):
    while True:
        data = c.recv(1 << 16)
        if not data:
            return
        c.sendall(data)


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Flood(threading.Thread):
    """Sends n bytes on a socket, a block again and again, and ends the direction."""

    def __init__(self, s, n, seed):
        super().__init__(daemon=True)
        self.s, self.n = s, n
        self.block = body_bytes(1 << 20)[seed:] + body_bytes(seed)
        self.sum = hashlib.sha256()

    def run(self):
        left = self.n
        while left > 0:
            piece = self.block[:left]
            self.sum.update(piece)
            self.s.sendall(piece)
            left -= len(piece)
        self.s.shutdown(socket.SHUT_WR)


def drink(s):
    """Reads to the end; (bytes, digest)."""
    total, got = 0, hashlib.sha256()
    buffer = bytearray(1 << 18)
    while True:
        n = s.recv_into(buffer)
        if n == 0:
            return total, got.hexdigest()
        got.update(memoryview(buffer)[:n])
        total += n


class Program:
    """A peer that listens on a port: started, waited for, ended."""

    def __init__(self, command, port, cwd=None, log=None):
        self.process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=log or subprocess.DEVNULL)
        self.port = port
        wait_until(lambda: self.process.poll() is not None or accepts(port), "%s listens" % command[0])
        assert self.process.poll() is None, "%s ended" % (command,)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.kill()
