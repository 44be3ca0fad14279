#!/usr/bin/python3
"""What does it cost to pass a TCP stream on? examples/relay and the gateway beside a bare splice relay, Go's io.Copy, HAProxy and nginx.

usage: bench/relay.py [--rounds 3] [--conns 1,8] [--mib 4096] [--congestion bbr] [--build build] [--json]     (see bench/README.md)

Everything runs in a network namespace of its own, in which --congestion is every socket's congestion control; it takes root, or a
system on which users may make namespaces and set it there."""

import argparse
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import common
import namespace
import procs
import report
import tools
from peers import configs
from procs import BenchError

CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"
READY_WITHIN_S = 5
SAMPLE_WITHIN_S = 120
SERVER_CPUS, LOAD_CPUS = {0}, {1}
GOAL_CPU, GOAL_RATE = 1.05, 0.97    # x floor


def _options():
    p = argparse.ArgumentParser(prog="bench/relay.py", description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=3, help="rounds, each measures every candidate once (3)")
    p.add_argument("--conns", default="1,8", help="connections, comma separated (1,8)")
    p.add_argument("--mib", type=int, default=4096, help="passed on in one sample, over all connections (4096)")
    p.add_argument("--congestion", default="bbr", help="congestion control of every socket (bbr)")
    p.add_argument("--only", help="candidates, comma separated; the floor is always among them")
    p.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND",
                   help="one more candidate: its command line, with {port} and {upstream}")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/relay.jsonl")
    return p.parse_args()


def _set_congestion(name):
    """Every socket's, in this namespace: as its default, or, where the machine does not allow it that, as its route's."""
    try:
        with open(CONGESTION, "w") as f:
            f.write(name)
    except FileNotFoundError as e:
        raise BenchError(f"the congestion control {name!r} cannot be had: the kernel does not know it") from e
    except PermissionError:
        for to in "127.0.0.0/8", "127.0.0.1":
            subprocess.run([tools.find("ip"), "route", "change", "local", to, "dev", "lo", "table", "local", "proto", "kernel",
                            "scope", "host", "src", "127.0.0.1", "congctl", name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as c:
        accepted, _ = listener.accept()
        with accepted:
            found = {s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\0")[0].decode() for s in (c, accepted)}
    if found != {name}:
        raise BenchError(f"the congestion control {name!r} cannot be had: connections have {', '.join(sorted(found))}")


# ---- candidates: name -> (options, directory, port, upstream) -> argv ----------------------------------------------------------------

def _floor(options, directory, port, upstream):
    return [tools.build_c("floors/splice_floor.c"), str(port), str(upstream)]


def _built(options, *path):
    program = os.path.join(options.build, *path)
    if not os.path.exists(program):
        raise BenchError(f"{program} is not built: build Cygnet first, or name its build directory with --build")
    return program


def _configured(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def _cygnet(options, directory, port, upstream):
    return [_built(options, "examples", "relay"), f"127.0.0.1:{port}", f"127.0.0.1:{upstream}"]


def _gateway(options, directory, port, upstream):
    text = configs.cygnet_relay(directory, port, procs.free_port(), upstream)
    return [_built(options, "cygnet"), "gateway", "--config", _configured(directory, "cygnet.yaml", text)]


def _go(options, directory, port, upstream):
    return [tools.build_go("peers/relay.go"), str(port), str(upstream)]


def _haproxy(options, directory, port, upstream):
    return [tools.find("haproxy"), "-db", "-q", "-f", _configured(directory, "haproxy.cfg", configs.haproxy_relay(port, upstream))]


def _nginx(options, directory, port, upstream):
    program = tools.find("nginx")
    modules = glob.glob("/usr/lib/nginx/modules/ngx_stream_module.so")
    built_in = "--with-stream " in subprocess.run([program, "-V"], capture_output=True, text=True).stderr + " "
    if not modules and not built_in:
        raise BenchError("nginx has no stream module: apt-get install libnginx-mod-stream")
    text = configs.nginx_relay(directory, port, upstream, None if built_in else modules[0])
    return [program, "-p", directory, "-c", _configured(directory, "nginx.conf", text)]


CANDIDATES = {"floor": _floor, "cygnet": _cygnet, "gateway": _gateway, "go": _go, "haproxy": _haproxy, "nginx": _nginx}
ENV = {"cygnet": {"CYGNET_MAXPROCS": "1"}, "gateway": {"CYGNET_MAXPROCS": "1"}, "go": {"GOMAXPROCS": "1"}}


def _chosen(options):
    """({name: command function}, what was left out and why): what is missing here is left out, but not the floor."""
    candidates = dict(CANDIDATES)
    for text in options.also:
        name, _, command = text.partition("=")
        candidates[name] = lambda o, d, port, upstream, c=command: c.format(port=port, upstream=upstream).split()
    only = options.only.split(",") if options.only else list(candidates)
    left_out = []
    with tempfile.TemporaryDirectory() as directory:
        for name in [n for n in candidates if n != "floor" and n not in only]:
            del candidates[name]
        for name in list(candidates)[1:]:
            try:
                candidates[name](options, directory, 1, 2)
            except BenchError as e:
                left_out.append(f"{name} ({e})")
                del candidates[name]
    return candidates, left_out


# ---- samples --------------------------------------------------------------------------------------------------------------------------

def _wait_listens(server, port):
    """Looks in the kernel's table: connecting would make the relay connect upstream."""
    end, wanted = time.monotonic() + READY_WITHIN_S, f":{port:04X} 00000000:0000 0A"
    while time.monotonic() < end:
        if server.popen.poll() is not None:
            raise BenchError(f"{server.name} ended at once: {server.said().strip() or 'no message'}")
        with open("/proc/net/tcp") as f:
            if wanted in f.read():
                return
        time.sleep(0.02)
    raise BenchError(f"{server.name} does not listen on port {port} after {READY_WITHIN_S} s: {server.said().strip()}")


def _sample(options, name, command, bulk, conns):
    directory = tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        with procs.Stage(directory) as stage:
            port, upstream = procs.free_port(), procs.free_port()
            server = stage.start(name, command(options, directory, port, upstream), SERVER_CPUS, ENV.get(name))
            _wait_listens(server, port)
            warm = [bulk, str(upstream), str(port), str(conns), "64"]
            for load in (warm, [*warm[:-1], str(options.mib)]):
                before = server.counters()
                done = subprocess.run(["taskset", "-c", ",".join(map(str, LOAD_CPUS)), *load], capture_output=True, text=True,
                                      timeout=SAMPLE_WITHIN_S)
                if done.returncode != 0:
                    raise BenchError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")
                grown = server.counters().since(before)
            seconds, received = float(done.stdout.split()[0]), int(done.stdout.split()[1])
            return {"cpu_s_gb": grown["run_us"] / 1e6 / (received / 1e9), "gb_s": received / 1e9 / seconds,
                    "utilisation": grown["run_us"] / 1e6 / seconds, "switches_gb": grown["switches"] / (received / 1e9),
                    "others": max(0.0, grown["busy_us"] - grown["ticks_us"]) / 1e6 / seconds, "rss_mib": server.rss_kib() / 1024}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _summary(name, own, floor):
    row = {"name": name}
    for figure in ("cpu_s_gb", "gb_s", "utilisation", "switches_gb", "others", "rss_mib"):
        row[figure] = report.short(report.median(s[figure] for s in own))
    for figure in ("cpu_s_gb", "gb_s"):
        row[f"{figure}_ratio"] = report.short(report.median(s[figure] / f[figure] for s, f in zip(own, floor)))
        row[f"{figure}_spread"] = report.short((max(s[figure] for s in own) - min(s[figure] for s in own)) / 2 / row[figure])
        row[f"{figure}_rounds"] = [report.short(s[figure]) for s in own]
    return row


def _measure(options):
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchError("two CPUs are needed: one for the relay, one for its two ends")
    namespace.loopback_up()
    _set_congestion(options.congestion)
    bulk = tools.build_c("load/bulk.c")
    candidates, left_out = _chosen(options)
    cells = []
    for conns in [int(c) for c in options.conns.split(",")]:
        samples = {name: [] for name in candidates}
        for n in range(options.rounds):
            for name in common.turned(list(candidates), n):
                common.say(f"{conns} connections: round {n + 1} of {options.rounds}: {name}")
                samples[name].append(_sample(options, name, candidates[name], bulk, conns))
        cells.append({"conns": conns, "candidates": [_summary(name, own, samples["floor"]) for name, own in samples.items()]})
    common.say("")
    return {"bench": "relay", **tools.describe(), "congestion_control": options.congestion, "mode": "pinned",
            "rounds": options.rounds, "mib": options.mib, "left_out": left_out,
            "goal": {"cpu_s_gb": GOAL_CPU, "gb_s": GOAL_RATE}, "cells": cells}


# ---- the table ---------------------------------------------------------------------------------------------------------------------------

def _row(row, goal):
    notes = []
    if row["name"] in ("cygnet", "gateway"):
        notes += [f"goal: cpu {'met' if row['cpu_s_gb_ratio'] <= goal['cpu_s_gb'] else 'missed'}",
                  f"rate {'met' if row['gb_s_ratio'] >= goal['gb_s'] else 'missed'}"]
    if row["others"] > report.DISTURBED:
        notes.append("disturbed")
    return [row["name"], f"{row['cpu_s_gb']:.3f}", f"{row['cpu_s_gb_ratio']:.2f}", f"{row['cpu_s_gb_spread']:.1%}", f"{row['gb_s']:.2f}",
            f"{row['gb_s_ratio']:.2f}", f"{row['gb_s_spread']:.1%}", f"{row['utilisation']:.0%}", f"{row['switches_gb']:.0f}",
            f"{row['rss_mib']:.1f}", ", ".join(notes)]


def table(record):
    machine = record["machine"]
    lines = [f"relay: {machine['cpu']}, {machine['cpus']} CPUs, Linux {record['kernel']}, {record['congestion_control']}, "
             f"commit {record['commit']}{' + changes' if record['dirty'] else ''}",
             f"medians of {record['rounds']} rounds of {record['mib']} MiB; relay on CPU 0, both its ends on CPU 1"]
    lines += [f"left out: {text}" for text in record["left_out"]]
    head = ["relay", "cpu s/GB", "x floor", "+-", "GB/s", "x floor", "+-", "util", "csw/GB", "RSS MiB", "notes"]
    for cell in record["cells"]:
        lines += ["", f"{cell['conns']} connection{'s' if cell['conns'] > 1 else ''}"]
        lines += ["  " + line for line in report.aligned([head] + [_row(row, record["goal"]) for row in cell["candidates"]])]
    return "\n".join(lines)


if __name__ == "__main__":
    namespace.enter()
    chosen = _options()
    sys.exit(common.finish("relay", lambda: _measure(chosen), json.dumps if chosen.json else table, chosen))
