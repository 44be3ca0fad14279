#!/usr/bin/python3
"""What does it cost to answer a small HTTP request? Cygnet's hello example beside the floor, State Threads, nginx and Go.

usage: bench/hello.py [--rounds 5] [--seconds 3] [--conns 64,256] [--only cygnet] [--two]     (see bench/README.md)"""

import os
import sys

sys.dont_write_bytecode = True

import common
import tools
from peers import configs
from procs import BenchError


def floor(place):
    return [tools.build_c("floors/hello_floor.c"), str(place.port), str(place.cpus)]


def cygnet(place):
    program = os.path.join(place.build, "examples", "hello")
    if not os.path.exists(program):
        raise BenchError("examples/hello is not built: build Cygnet first, or name its build directory with --build")
    return [program, f"127.0.0.1:{place.port}"]


def state_threads(place):
    if place.cpus > 1:
        raise BenchError("has one thread")
    return [tools.build_c("peers/st_hello.c", libraries=["-lst"], header="st.h"), str(place.port)]


def nginx(place):
    path = os.path.join(place.directory, "nginx.conf")
    with open(path, "w") as f:
        f.write(configs.nginx_hello(place.directory, place.port, place.cpus))
    return [tools.find("nginx"), "-p", place.directory, "-c", path]


def go(place):
    return [tools.build_go("peers/hello.go"), str(place.port)]


BENCH = common.Bench("hello", __doc__.splitlines()[0], two=True, candidates=[
    common.Candidate("floor", floor),
    common.Candidate("cygnet", cygnet, lambda place: {"CYGNET_MAXPROCS": str(place.cpus)}),
    common.Candidate("state-threads", state_threads),
    common.Candidate("nginx", nginx),
    common.Candidate("go", go, lambda place: {"GOMAXPROCS": str(place.cpus)}),
])

if __name__ == "__main__":
    sys.exit(common.main(BENCH))
