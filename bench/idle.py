#!/usr/bin/python3
"""What does an idle keep-alive connection cost in memory? Cygnet's hello server and gateway beside nginx, HAProxy and Go.

One request is made on each connection, which then stays open. usage: bench/idle.py [--count 15000] [--rounds 3] [--only cygnet]
[--build build] [--json]     (see bench/README.md)"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import common
import hello
import holding
import procs
import proxy
import report
import tools
from peers import configs
from procs import BenchError

GOAL_KIB = 0.6
ROOM = 16384  # connections that the peers are set up for
WINDOW = 64     # requests under way at a time
WARM_UPS = 200  # of so many each
SETTLED_S = 10


def _options():
    p = argparse.ArgumentParser(prog="bench/idle.py", description=__doc__.splitlines()[0])
    p.add_argument("--count", type=int, default=15000, help=f"connections (15000; at most {ROOM - 384})")
    p.add_argument("--rounds", type=int, default=3, help="rounds, each measures every candidate once (3)")
    p.add_argument("--only", help="candidates, comma separated")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/idle.jsonl")
    options = p.parse_args()
    if not 1 <= options.count <= ROOM - 384:
        p.error(f"--count: from 1 to {ROOM - 384}")
    return options


def _config(place, name, text):
    path = os.path.join(place.directory, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def _nginx(text):
    return lambda place: [tools.find("nginx"), "-p", place.directory, "-c", _config(place, "nginx.conf", text(place))]


def _haproxy(text):
    return lambda place: [tools.find("haproxy"), "-q", "-db", "-f", _config(place, "haproxy.cfg", text(place))]


def _env(name):
    return lambda place: {name: str(place.cpus)}


CANDIDATES = [
    common.Candidate("cygnet", hello.cygnet, _env("CYGNET_MAXPROCS")),
    common.Candidate("nginx", _nginx(lambda p: configs.nginx_hello(p.directory, p.port, p.cpus, ROOM))),
    common.Candidate("haproxy", _haproxy(lambda p: configs.haproxy_hello(p.port, p.cpus, ROOM))),
    common.Candidate("go", hello.go, _env("GOMAXPROCS")),
    common.Candidate("gateway", proxy.cygnet(access_log=False), _env("CYGNET_MAXPROCS")),
    common.Candidate("nginx-proxy", _nginx(lambda p: configs.nginx_proxy(p.directory, p.port, p.upstream, False, p.cpus, ROOM))),
    common.Candidate("haproxy-proxy", _haproxy(lambda p: configs.haproxy_proxy(p.port, p.upstream, p.cpus, ROOM))),
    common.Candidate("go-proxy", proxy.go, _env("GOMAXPROCS")),
]


def _settled(server):
    """Its resident memory once it has stopped changing: what a collector or a pool gives back a little later does not count."""
    end, last, since = time.monotonic() + SETTLED_S, server.rss_kib(), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < 1:
        time.sleep(0.1)
        now = server.rss_kib()
        if now != last:
            last, since = now, time.monotonic()
    return last


def _warm_up(server, port):
    """As many at once as will ask at once later, again and again: then what requests in flight need, and what is kept for the next
    ones, is there, and is not taken for the cost of an idle connection."""
    holder = holding.Holder("warm-up", port, WINDOW, WINDOW)
    try:
        for _ in range(WARM_UPS):
            if holder.report()["ok"] != WINDOW:
                raise BenchError(f"{server.name} did not answer {WINDOW} connections")
            holder.ask()
    finally:
        holder.stop()


def _hold(server, port, count, rss):
    holder = holding.Holder("hold", port, count, WINDOW)
    try:
        opened = holder.report()
        if opened["ok"] != count:
            raise BenchError(f"{server.name}: {opened['open']} of {count} connections stood, {opened['ok']} were answered")
        rss["after"] = _settled(server)
        holder.ask()
        again = holder.report()
        if again["ok"] != count:
            raise BenchError(f"{server.name}: only {again['ok']} of {count} idle connections answered")
        rss["again"] = _settled(server)
    finally:
        holder.stop()


def sample(candidate, options):
    """Resident KiB: of the server before, with all connections idle, and after one more request on each."""
    directory = tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        with procs.Stage(directory) as stage:
            upstream = procs.free_port()
            procs.wait_until_answers(stage.start("upstream", proxy.upstream(upstream)), upstream)
            place = common.Place(directory, procs.free_port(), upstream, 2, options.build)
            server = stage.start(candidate.name, candidate.command(place), None, candidate.env(place))
            procs.wait_until_answers(server, place.port)
            _warm_up(server, place.port)
            rss = {"before": _settled(server)}
            _hold(server, place.port, options.count, rss)
            return rss
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _row(name, own, count):
    kib = [(s["after"] - s["before"]) / count for s in own]
    return {"name": name, "kib": report.short(statistics.median(kib)), "kib_rounds": [report.short(k) for k in kib],
            "kib_again": report.short(statistics.median((s["again"] - s["before"]) / count for s in own)),
            "before_mib": report.short(statistics.median(s["before"] for s in own) / 1024),
            "after_mib": report.short(statistics.median(s["after"] for s in own) / 1024)}


def _chosen(options):
    names = options.only.split(",") if options.only else [c.name for c in CANDIDATES]
    if unknown := set(names) - {c.name for c in CANDIDATES}:
        raise BenchError(f"no such candidate: {', '.join(unknown)}; there are {', '.join(c.name for c in CANDIDATES)}")
    present, left_out, directory = [], [], tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        for candidate in (c for c in CANDIDATES if c.name in names):
            try:
                candidate.command(common.Place(directory, 1, 2, 2, options.build))
                present.append(candidate)
            except BenchError as e:
                left_out.append(f"{candidate.name} ({e})")
    finally:
        shutil.rmtree(directory)
    return present, left_out


def measure(options):
    candidates, left_out = _chosen(options)
    samples = {c.name: [] for c in candidates}
    for n in range(options.rounds):
        for candidate in common.turned(candidates, n):
            common.say(f"round {n + 1} of {options.rounds}: {candidate.name}")
            samples[candidate.name].append(sample(candidate, options))
    common.say("")
    return {"bench": "idle", **tools.describe(), "rounds": options.rounds, "count": options.count, "goal_kib": GOAL_KIB,
            "left_out": left_out, "rows": [_row(name, own, options.count) for name, own in samples.items()]}


def table(record):
    lines = [f"idle: {record['count']} keep-alive connections, one request made on each; Linux {record['kernel']}, commit "
             f"{record['commit']}{' + changes' if record['dirty'] else ''}",
             f"medians of {record['rounds']} rounds; KiB of resident memory for each connection, beyond what the server had after "
             f"{WINDOW * WARM_UPS} requests, {WINDOW} at once",
             *(f"left out: {text}" for text in record["left_out"]), ""]
    rows = [["candidate", "KiB", "least", "most", "asked again", "MiB before", "MiB with all", "goal"]]
    for row in record["rows"]:
        ours = row["name"] in ("cygnet", "gateway")
        goal = ("ok" if row["kib"] <= record["goal_kib"] else f"> {record['goal_kib']}") if ours else ""
        rows.append([row["name"], f"{row['kib']:.2f}", f"{min(row['kib_rounds']):.2f}", f"{max(row['kib_rounds']):.2f}",
                     f"{row['kib_again']:.2f}", f"{row['before_mib']:.1f}", f"{row['after_mib']:.1f}", goal])
    return "\n".join(lines + report.aligned(rows))


if __name__ == "__main__":
    chosen = _options()
    sys.exit(common.finish("idle", lambda: measure(chosen), json.dumps if chosen.json else table, chosen))
