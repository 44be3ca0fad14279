#!/usr/bin/python3
"""Does an echo server stay prompt while goroutines beside it keep their threads? 64 in read(2), 8 in getaddrinfo, 4 in endless loops.

usage: bench/hostage.py [--rounds 7] [--busy 2] [--two] [--build build] [--json]     (see bench/README.md)

Everything runs in network and mount namespaces of its own, where the name server is a socket that never answers; it takes root, or a
system on which users may make namespaces."""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
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
from procs import BenchError

READY_WITHIN_S = 30
KINDS = ("reads", "resolves", "spins")
TARGET = 2.0         # the goal for p99 with all hostages over p99 without
TIMES = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
COUNTS = ("threads", "threads_without_p", "retakes_blocked", "retakes_hog", "retakes_left", "retakes_limit")
BUSY_LOOP = ["/bin/sh", "-c", "while :; do :; done"]


def _options():
    p = argparse.ArgumentParser(prog="bench/hostage.py", description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=7, help="rounds, each measures every candidate once (7)")
    p.add_argument("--seconds", type=float, default=2.0, help="length of one sample (2)")
    p.add_argument("--rate", type=int, default=4000, help="messages a second (4000)")
    p.add_argument("--conns", type=int, default=16, help="connections (16)")
    for kind, count in zip(KINDS, (64, 8, 4)):
        p.add_argument(f"--{kind}", type=int, default=count, help=f"hostages of this kind ({count})")
    p.add_argument("--busy", type=int, default=0, metavar="N", help="other processes that keep the server's CPUs busy (0)")
    p.add_argument("--two", action="store_true", help="the server has both CPUs and two Ps; the client is not pinned")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/hostage.jsonl")
    return p.parse_args()


# ---- the name server ---------------------------------------------------------------------------------------------------------

class SilentResolver:
    """In this mount namespace names are asked of 127.0.0.1, where a socket takes the questions and nobody answers."""

    def __init__(self, directory):
        for name, text in (("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"), ("nsswitch.conf", "hosts: dns\n")):
            path = os.path.join(directory, name)
            with open(path, "w") as f:
                f.write(text)
            if not os.path.exists(f"/etc/{name}"):
                raise BenchError(f"/etc/{name} is missing: there is nothing to mount another one over")
            done = subprocess.run([tools.find("mount"), "--bind", path, f"/etc/{name}"], capture_output=True, text=True)
            if done.returncode != 0:
                raise BenchError(f"cannot mount over /etc/{name}: {done.stderr.strip()}")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))


# ---- one sample --------------------------------------------------------------------------------------------------------------

def _wait_ready(server, path):
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        if server.popen.poll() is not None:
            break
        with open(path) as f:
            if "ready\n" in f.read():
                return
        time.sleep(0.02)
    raise BenchError(f"the server never was ready: {server.said().strip() or 'no message'}")


def _client(options, port, cpus):
    command = [tools.build_c("load/paced.c"), "-c", str(options.conns), "-r", str(options.rate), "-d", str(options.seconds), str(port)]
    process = procs.Process("paced", command, cpus)
    try:
        out, err = process.popen.communicate(timeout=options.seconds + 20)
    except subprocess.TimeoutExpired:
        raise BenchError("the client did not end")
    finally:
        process.stop()
    if process.popen.returncode != 0:
        raise BenchError(f"the client failed: {(err + out).strip()}")
    return json.loads(out)


def _named(text, hostages, ps):
    """{kind: how many the dump's section on retakes names}. Each hostage must stand in the dump, and each but one a P, which may
    have stayed as nothing waited for it, must have lost its P."""
    alive = {kind: len(re.findall(rf'^goroutine \d+ "{kind}"', text, re.M)) +
             sum(map(int, re.findall(rf'^(\d+) goroutines "{kind}"', text, re.M))) for kind in hostages}
    lost = {kind: int(n) for n, kind in re.findall(r'^    (\d+) times, .*: "(\w+)", started at ', text, re.M)}
    for kind, count in hostages.items():
        if alive[kind] != count:
            raise BenchError(f"the dump has {alive[kind]} of {count} {kind}")
        if not count - ps < lost.get(kind, 0) <= count and count:
            raise BenchError(f"the dump says that {lost.get(kind, 0)} of {count} {kind} lost their P")
    return {kind: lost.get(kind, 0) for kind in hostages}


def sample(options, server_program, hostages):
    """Starts a server with these hostages, sends messages, ends it: what the client saw, the counters, the hostages named."""
    server_cpus, client_cpus = (None, None) if options.two else ({0}, {1})
    directory = tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        with procs.Stage(directory) as stage:
            for i in range(options.busy):
                stage.start(f"busy{i}", BUSY_LOOP, server_cpus)
            port = procs.free_port()
            command = [server_program, str(port), *(str(hostages[kind]) for kind in KINDS), directory]
            server = stage.start("echo", command, server_cpus, {"CYGNET_MAXPROCS": "2" if options.two else "1"})
            path = os.path.join(directory, "echo.out")
            _wait_ready(server, path)
            seen = _client(options, port, client_cpus)
            server.popen.terminate()
            try:
                server.popen.wait(20)
            except subprocess.TimeoutExpired:
                raise BenchError("the server did not end")
            with open(path, errors="replace") as f:
                text = f.read()
        counters = json.loads(text[text.rindex("\n{") + 1:])
        return {**seen, **counters, "named": _named(text, hostages, 2 if options.two else 1),
                "lines": len(re.findall(r"^cygnet: goroutine .* its thread for", text, re.M))}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ---- the run -----------------------------------------------------------------------------------------------------------------

def _summary(name, hostages, own, quiet):
    row = {"name": name, "hostages": hostages, "named": own[-1]["named"], "lost": sum(s["lost"] for s in own),
           "requests": sum(s["requests"] for s in own), "real_time": all(s["real_time"] for s in own),
           "report_lines": statistics.median(s["lines"] for s in own)}
    for figure in (*TIMES, "late_us", *COUNTS):
        row[figure] = report.short(statistics.median(s[figure] for s in own))
    row["p99_rounds"] = [report.short(s["p99_us"]) for s in own]
    row["p50_ratio"] = report.short(row["p50_us"] / quiet["p50_us"]) if quiet else 1.0
    row["p99_ratio"] = report.short(row["p99_us"] / quiet["p99_us"]) if quiet else 1.0
    return row


def _measure(options):
    namespace.loopback_up()
    server = tools.build_cygnet("hostage/echo.c", options.build, "hostage_echo")
    asked = {kind: getattr(options, kind) for kind in KINDS}
    candidates = {"quiet": dict.fromkeys(KINDS, 0), "blocked": {**asked, "spins": 0}, "all": asked}
    samples = {name: [] for name in candidates}
    directory = tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        resolver = SilentResolver(directory)
        for n in range(options.rounds):
            for name in common.turned(list(candidates), n):
                common.say(f"round {n + 1} of {options.rounds}: {name}")
                samples[name].append(sample(options, server, candidates[name]))
        resolver.socket.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    common.say("")
    rows = []
    for name, own in samples.items():
        rows.append(_summary(name, candidates[name], own, rows[0] if rows else None))
    return {"bench": "hostage", **tools.describe(), "mode": "two" if options.two else "pinned", "rounds": options.rounds,
            "seconds": options.seconds, "rate": options.rate, "conns": options.conns, "busy": options.busy, "target": TARGET,
            "left_out": [], "candidates": rows}


def table(record):
    machine = record["machine"]
    where = "client and server on both CPUs, 2 Ps" if record["mode"] == "two" else "server on CPU 0, client on CPU 1"
    lines = [f"hostage: {machine['cpu']}, {machine['cpus']} CPUs, Linux {record['kernel']}, commit {record['commit']}"
             f"{' + changes' if record['dirty'] else ''}",
             f"medians of {record['rounds']} rounds of {record['seconds']:g} s; {record['rate']} messages a second on {record['conns']} "
             f"connections; {where}; {record['busy']} busy processes beside them", ""]
    rows = [["server", "p50 us", "p99 us", "x quiet", "goal", "p99.9 us", "max us", "late us", "threads", "taken", "left", "notes"]]
    for row in record["candidates"]:
        notes = [f"{n} {kind}" for kind, n in row["named"].items() if n]
        notes = ["named: " + ", ".join(notes)] if notes else []
        notes += [f"{row['lost']} messages lost"] if row["lost"] else []
        notes += [] if row["real_time"] else ["client without real-time priority"]
        goal = ("ok" if row["p99_ratio"] <= record["target"] else f"> {record['target']:g}") if row["name"] != "quiet" else ""
        rows.append([row["name"], f"{row['p50_us']:.0f}", f"{row['p99_us']:.0f}", f"{row['p99_ratio']:.2f}", goal, f"{row['p999_us']:.0f}",
                     f"{row['max_us']:.0f}", f"{row['late_us']:.0f}", f"{row['threads']:.0f}",
                     f"{row['retakes_blocked']:.0f} + {row['retakes_hog']:.0f}", f"{row['retakes_left']:.0f}", "; ".join(notes)])
    return "\n".join(lines + report.aligned(rows))


if __name__ == "__main__":
    namespace.enter(mounts=True)
    chosen = _options()
    sys.exit(common.finish("hostage", lambda: _measure(chosen), json.dumps if chosen.json else table, chosen))
