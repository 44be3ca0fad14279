"""Network (and mount) namespaces of a script's own: its loopback, ports and sockets are nobody else's."""

import fcntl
import os
import socket
import struct
import sys

import tools

INSIDE = "CYGNET_BENCH_NAMESPACE"


def enter(mounts=False):
    """Starts this script again in namespaces of its own; returns when it is there. Takes root, or a system on which users may make
    namespaces."""
    if os.environ.get(INSIDE):
        return
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    kinds = ["--net", *(["--mount"] if mounts else [])]
    os.execve(tools.find("unshare"), ["unshare", *kinds, *user, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]],
              {**os.environ, INSIDE: "1"})


def loopback_up():
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 0x49))  # SIOCSIFFLAGS: IFF_UP | IFF_LOOPBACK | IFF_RUNNING
