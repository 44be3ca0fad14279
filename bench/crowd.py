#!/usr/bin/python3
"""How many connections at once? Hundreds of thousands of keep-alive HTTP connections on one machine, all of them answering.

One process may hold some ten thousand descriptors only, so there are several servers (examples/hello) and as many load processes, each
with source addresses of its own in 127/8. --count 1000000 goes as far as the machine's limits allow, and says which one it met.

usage: bench/crowd.py [--count 200000] [--sweeps 2] [--window 16] [--build build] [--json]     (see bench/README.md)"""

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import common
import hello
import holding
import procs
import report
import tools
from procs import BenchError

SPARE = 500           # descriptors of a process that are not connections
KERNEL_BYTES = 6000   # of both ends of a connection: two sockets with their inodes, files and poll records
PROCESS_BYTES = 1100  # of a server and a load process
KEEP_FREE = 0.2       # of the memory that is available
SETTLE_S = 2


def _options():
    p = argparse.ArgumentParser(prog="bench/crowd.py", description=__doc__.splitlines()[0])
    p.add_argument("--count", type=int, default=200000, help="connections (200000)")
    p.add_argument("--sweeps", type=int, default=2, help="how often each is asked again once all stand (2)")
    p.add_argument("--window", type=int, default=16, help="requests under way at a time, of each load process (16)")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/crowd.jsonl")
    options = p.parse_args()
    if options.count < 1:
        p.error("--count: at least 1")
    return options


def _number(path, index=0):
    with open(path) as f:
        return int(f.read().split()[index])


def _available_bytes():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable:"))


def _limits():
    """What each of the machine's limits allows: connections by name, and how many one process may hold."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the servers inherit it
    used, _, files = (_number("/proc/sys/fs/file-nr", i) for i in range(3))
    per_process = hard - SPARE
    return {"memory": int(_available_bytes() * (1 - KEEP_FREE) / (KERNEL_BYTES + PROCESS_BYTES)),
            "fs.file-max": (files - used) // 2,
            "kernel.pid_max": (_number("/proc/sys/kernel/pid_max") // 16) * per_process,
            "127/8": 190 * per_process}, per_process


def _memory(servers):
    sockets = {}
    for line in procs._read("/proc/net/sockstat").splitlines():
        words = line.split()
        sockets[words[0]] = dict(zip(words[1::2], map(int, words[2::2])))
    return {"servers_kib": sum(s.rss_kib() for s in servers), "available": _available_bytes(),
            "sockets": sockets.get("TCP:", {}).get("inuse", 0)}


def _merge(reports):
    """One line of all load processes: the worst of their quantiles, since they cannot be added up."""
    return {"open": sum(r["open"] for r in reports), "ok": sum(r["ok"] for r in reports), "seconds": max(r["seconds"] for r in reports),
            **{q: max(r[q] for r in reports) for q in ("p50_us", "p99_us", "max_us")}}


def _start_servers(stage, n, build):
    servers = []
    for i in range(n):
        place = common.Place(stage.directory, procs.free_port(), None, 1, build)
        # One P each: there are more servers than CPUs.
        server = stage.start(f"server-{i}", hello.cygnet(place), None, {"CYGNET_MAXPROCS": "1"})
        procs.wait_until_answers(server, place.port)
        servers.append((server, place.port))
    return servers


def _crowd(stage, leave, options, count, per_process):
    n = -(-count // per_process)
    shares = [count // n + (i < count % n) for i in range(n)]
    servers = _start_servers(stage, n, options.build)
    processes = [server for server, _ in servers]
    before = _memory(processes)
    begun = time.monotonic()
    holders = []
    for i, (_, port) in enumerate(servers):
        common.say(f"opening {shares[i]} connections to server {i + 1} of {n}")
        holder = holding.Holder(f"hold-{i}", port, shares[i], options.window, 64 + i)
        leave.callback(holder.stop)
        holders.append(holder)
    opened = _merge([h.report() for h in holders])
    opened["seconds"] = time.monotonic() - begun
    time.sleep(SETTLE_S)
    after, sweeps = _memory(processes), []
    for k in range(options.sweeps):
        common.say(f"asking on all of {opened['open']} connections, {k + 1} of {options.sweeps}")
        for h in holders:
            h.ask()
        sweeps.append(_merge([h.report() for h in holders]))
    common.say("")
    return n, opened, before, after, sweeps


def measure(options):
    limits, per_process = _limits()
    least = min(limits, key=limits.get)
    count = min(options.count, limits[least])
    met = least if count < options.count else None
    with tempfile.TemporaryDirectory(prefix="cygnet-bench-") as directory, procs.Stage(directory) as stage, contextlib.ExitStack() as leave:
        n, opened, before, after, sweeps = _crowd(stage, leave, options, count, per_process)
    if opened["open"] != count:
        raise BenchError(f"only {opened['open']} of {count} connections could be opened")
    return {"bench": "crowd", **tools.describe(), "asked_for": options.count, "count": count, "limit_met": met, "servers": n,
            "per_process": per_process, "window": options.window, "opened": opened, "sweeps": sweeps, "left_out": [],
            "server_kib": report.short((after["servers_kib"] - before["servers_kib"]) / count),
            "kernel_kib": report.short((before["available"] - after["available"]) / 1024 / count),
            "servers_mib": report.short(after["servers_kib"] / 1024), "sockets": after["sockets"]}


def table(record):
    lines = [f"crowd: {record['count']} connections to {record['servers']} servers, {record['window']} requests under way from each of "
             f"{record['servers']} load processes; Linux {record['kernel']}, commit {record['commit']}{' + changes' if record['dirty'] else ''}"]
    if record["limit_met"]:
        lines.append(f"{record['asked_for']} were asked for; {record['limit_met']} allows {record['count']}")
    lines += [f"servers: {record['servers_mib']:.0f} MiB resident in all, {record['server_kib']:.2f} KiB for each connection; the whole "
              f"machine, kernel and both ends: {record['kernel_kib']:.1f} KiB; TCP sockets in use: {record['sockets']}", ""]
    rows = [["", "connections", "answered", "seconds", "requests/s", "p50 ms", "p99 ms", "max ms", ""]]
    for name, r in [("opening, first request", record["opened"])] + [(f"asked again, {i + 1}", r) for i, r in enumerate(record["sweeps"])]:
        rows.append([name, str(r["open"]), str(r["ok"]), f"{r['seconds']:.1f}", f"{r['ok'] / r['seconds']:.0f}",
                     *(f"{r[q] / 1000:.1f}" for q in ("p50_us", "p99_us", "max_us")), "all" if r["ok"] == record["count"] else "NOT ALL"])
    return "\n".join(lines + report.aligned(rows))


if __name__ == "__main__":
    chosen = _options()
    sys.exit(common.finish("crowd", lambda: measure(chosen), json.dumps if chosen.json else table, chosen))
