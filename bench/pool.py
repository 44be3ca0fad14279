#!/usr/bin/python3
"""What does the connection pool save? Sockets in TIME_WAIT at 1,000 requests a second, and the wait for what all requests share.

usage: bench/pool.py [storm] [waits] [--seconds 60] [--rounds 5] [--build build] [--json]     (see bench/README.md)

storm runs in a network namespace of its own (root, or a system on which users may make namespaces), so that the sockets counted and the ports
used up are its own."""

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
import namespace
import procs
import report
import tools
from procs import BenchError

TIME_WAIT = 6
REUSE, WAIT_US = 0.99, 5.0  # the goals
LIFE = 10                   # seconds a connection of the pool lives: the pool closes some by itself, which is when TIME_WAIT comes
STEPS = 1000                # of a generator, in which the mutex is held: about 1 us


def _options():
    p = argparse.ArgumentParser(prog="bench/pool.py", description=__doc__.splitlines()[0])
    p.add_argument("parts", nargs="*", default=["storm", "waits"], metavar="storm|waits", help="what to measure (both)")
    p.add_argument("--seconds", type=int, default=60, help="of the storm (60)")
    p.add_argument("--rate", type=int, default=1000, help="requests a second of the storm (1000)")
    p.add_argument("--rounds", type=int, default=5, help="of the waits, each measures every candidate once (5)")
    p.add_argument("--wait-seconds", type=int, default=2, help="length of one sample of the waits (2)")
    p.add_argument("--wait-rate", type=int, default=10000, help="requests a second of the waits (10000)")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/pool.jsonl")
    options = p.parse_args()
    if set(options.parts) - {"storm", "waits"}:
        p.error("the parts are storm and waits")
    return options


def _wait_listening(port):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if any(int(local.rsplit(":", 1)[1], 16) == port and state == 10 for local, _, state in _sockets()):
            return
        time.sleep(0.02)
    raise BenchError("the upstream does not listen")


def _sockets():
    with open("/proc/net/tcp") as f:
        next(f)
        for line in f:
            word = line.split()
            yield word[1], word[2], int(word[3], 16)


def _time_waits(port):
    """(ours, the upstream's): sockets in TIME_WAIT on the side that dialled, and on the side that accepted."""
    tag = f":{port:04X}"
    waits = [(local, remote) for local, remote, state in _sockets() if state == TIME_WAIT]
    return sum(remote.endswith(tag) for _, remote in waits), sum(local.endswith(tag) for local, _ in waits)


# ---- storm -------------------------------------------------------------------------------------------------------------------

def _storm_of(options, mode):
    """One run: what the program says, and the sockets in TIME_WAIT at its end and at most."""
    directory = tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        with procs.Stage(directory) as stage:
            port = procs.free_port()
            stage.start("upstream", [tools.build_c("floors/hello_floor.c"), str(port)])
            _wait_listening(port)
            program = tools.build_cygnet("pool/requests.c", options.build, "pool_requests")
            command = [program, mode, str(port), str(options.rate), str(options.seconds), str(LIFE)]
            most, end = 0, time.monotonic() + options.seconds + 60
            requests = stage.start("requests", ["/bin/sh", "-c", 'sleep 3600 | exec "$0" "$@"', *command])
            path = os.path.join(directory, "requests.out")
            while True:
                with open(path) as f:
                    said = f.read()
                ours, theirs = _time_waits(port)
                most = max(most, ours)
                if said.endswith("}\n"):
                    break
                if requests.popen.poll() is not None or time.monotonic() > end:
                    raise BenchError(f"requests {mode} did not end well: {said.strip() or 'no message'}")
                time.sleep(1)
            return {"mode": mode, **json.loads(said[said.rindex("{"):]), "time_wait": ours, "time_wait_most": most,
                    "time_wait_upstream": theirs}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _storm(options):
    """Without tcp_tw_reuse, which by default lets connections over loopback, and no others, take ports in TIME_WAIT."""
    with open("/proc/sys/net/ipv4/tcp_tw_reuse", "w") as f:
        f.write("0")
    rows = []
    for mode in ("pool", "dial"):
        common.say(f"storm: {mode}, {options.seconds} s")
        rows.append(_storm_of(options, mode))
    return rows


# ---- waits -------------------------------------------------------------------------------------------------------------------

def _waits_once(options, command):
    process = procs.Process("waits", command)
    try:
        out, err = process.popen.communicate(timeout=options.wait_seconds * 10 + 20)
    finally:
        process.stop()
    if process.popen.returncode != 0:
        raise BenchError(f"{command[0]} failed: {(out + err).strip()}")
    return json.loads(out)


def _waits(options):
    programs = {"cygnet": tools.build_cygnet("pool/waits.c", options.build, "pool_waits")}
    left_out = []
    try:
        programs["go"] = tools.build_go("pool/waits.go")
    except BenchError as error:
        left_out.append(str(error))
    candidates = [(what, who) for what in ("mutex", "pool") for who in programs]
    samples = {c: [] for c in candidates}
    directory = tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        with procs.Stage(directory) as stage:
            port = procs.free_port()
            stage.start("upstream", [tools.build_c("floors/hello_floor.c"), str(port)])
            _wait_listening(port)
            for n in range(options.rounds):
                for what, who in common.turned(candidates, n):
                    common.say(f"waits, round {n + 1} of {options.rounds}: {what}, {who}")
                    arg = str(STEPS if what == "mutex" else port)
                    samples[what, who].append(_waits_once(options, [programs[who], what, arg, str(options.wait_rate), str(options.wait_seconds)]))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    rows = []
    for (what, who), own in samples.items():
        row = {"what": what, "who": who, "requests": sum(s["requests"] for s in own), "errors": sum(s["errors"] for s in own)}
        for figure in ("p50_us", "p99_us", "p999_us", "max_us"):
            row[figure] = report.short(statistics.median(s[figure] for s in own))
        rows.append({**row, "p99_rounds": [s["p99_us"] for s in own]})
    return rows, left_out


# ---- the run -----------------------------------------------------------------------------------------------------------------

def _measure(options):
    namespace.loopback_up()
    record = {"bench": "pool", **tools.describe(), "left_out": []}
    if "storm" in options.parts:
        record["storm"] = {"rate": options.rate, "seconds": options.seconds, "life": LIFE, "runs": _storm(options)}
    if "waits" in options.parts:
        rows, record["left_out"] = _waits(options)
        record["waits"] = {"rate": options.wait_rate, "seconds": options.wait_seconds, "rounds": options.rounds, "steps": STEPS, "rows": rows}
    common.say("")
    return record


def _goal(ok):
    return "ok" if ok else "missed"


def _storm_table(storm):
    rows = [["storm", "seconds", "answers", "no port", "errors", "opens", "reuse", "TIME_WAIT", "at most", "upstream's", "goal"]]
    for r in storm["runs"]:
        pool = r["mode"] == "pool"
        met = r["time_wait_most"] == 0 and r["reuse"] >= REUSE and r["errors"] + r["no_port"] == 0
        rows.append(["from the pool" if pool else "a connection each", f"{r['seconds']:.1f}", f"{r['answers']:,}", f"{r['no_port']:,}", f"{r['errors']:,}",
                     f"{r['opens']:,}" if pool else "-", f"{r['reuse']:.2%}" if pool else "-", f"{r['time_wait']:,}",
                     f"{r['time_wait_most']:,}", f"{r['time_wait_upstream']:,}", _goal(met) if pool else ""])
    return [f"{storm['rate']} requests a second for {storm['seconds']} s; connections of the pool live for {storm['life']} s at most", "",
            *report.aligned(rows), ""]


def _waits_table(waits):
    names = {("mutex", "cygnet"): "cyg_mutex", ("mutex", "go"): "sync.Mutex", ("pool", "cygnet"): "cyg_connpool",
             ("pool", "go"): "Go, one lock"}
    rows = [["wait for", "p50 us", "p99 us", "p99.9 us", "max us", "errors", "goal"]]
    for r in waits["rows"]:
        rows.append([names[r["what"], r["who"]], f"{r['p50_us']:.2f}", f"{r['p99_us']:.2f}", f"{r['p999_us']:.1f}", f"{r['max_us']:.0f}",
                     f"{r['errors']}", _goal(r["p99_us"] < WAIT_US) if r["who"] == "cygnet" else ""])
    return [f"{waits['rate']} requests a second; medians of {waits['rounds']} rounds of {waits['seconds']} s; two Ps, not pinned", "",
            *report.aligned(rows), ""]


def table(record):
    machine = record["machine"]
    lines = [f"pool: {machine['cpu']}, {machine['cpus']} CPUs, Linux {record['kernel']}, commit {record['commit']}"
             f"{' + changes' if record['dirty'] else ''}"]
    lines += [f"left out: {text}" for text in record["left_out"]] + [""]
    if "storm" in record:
        lines += _storm_table(record["storm"])
    if "waits" in record:
        lines += _waits_table(record["waits"])
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    chosen = _options()
    namespace.enter()
    sys.exit(common.finish("pool", lambda: _measure(chosen), json.dumps if chosen.json else table, chosen))
