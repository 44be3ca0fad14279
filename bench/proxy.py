#!/usr/bin/python3
"""What does it cost to pass an HTTP request on? Cygnet's gateway beside the relay floor, HAProxy, nginx and Go.

The upstream is hello_floor, on the load's CPU. usage: bench/proxy.py [--rounds 5] [--seconds 3] [--conns 64,256]
[--only cygnet,nginx]     (see bench/README.md)"""

import os
import sys

sys.dont_write_bytecode = True

import common
import procs
import tools
from peers import configs
from procs import BenchError


def _write(place, name, text):
    path = os.path.join(place.directory, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def floor(place):
    return [tools.build_c("floors/relay_floor.c"), str(place.port), str(place.upstream)]


def cygnet(access_log):
    def command(place):
        program = os.path.join(place.build, "cygnet")
        if not os.path.exists(program):
            raise BenchError("not built: build Cygnet first, or name its build directory with --build")
        text = configs.cygnet_proxy(place.directory, place.port, procs.free_port(), place.upstream, access_log)
        return [program, "gateway", "--config", _write(place, "cygnet.yaml", text)]
    return command


def haproxy(place):
    return [tools.find("haproxy"), "-q", "-db", "-f", _write(place, "haproxy.cfg", configs.haproxy_proxy(place.port, place.upstream))]


def nginx(json_log):
    def command(place):
        text = configs.nginx_proxy(place.directory, place.port, place.upstream, json_log)
        return [tools.find("nginx"), "-p", place.directory, "-c", _write(place, "nginx.conf", text)]
    return command


def go(place):
    return [tools.build_go("peers/proxy.go"), str(place.port), str(place.upstream)]


def upstream(port):
    return [tools.build_c("floors/hello_floor.c"), str(port)]


ONE_P = {"CYGNET_MAXPROCS": "1"}
BENCH = common.Bench("proxy", __doc__.splitlines()[0], upstream=upstream, candidates=[
    common.Candidate("floor", floor),
    common.Candidate("cygnet", cygnet(access_log=True), lambda place: ONE_P, log="cygnet-access.log"),
    common.Candidate("cygnet-nolog", cygnet(access_log=False), lambda place: ONE_P),
    common.Candidate("haproxy", haproxy),
    common.Candidate("nginx", nginx(json_log=False)),
    common.Candidate("nginx-log", nginx(json_log=True), log="nginx-access.log"),
    common.Candidate("go", go, lambda place: {"GOMAXPROCS": "1"}),
])

if __name__ == "__main__":
    sys.exit(common.main(BENCH))
