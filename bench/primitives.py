#!/usr/bin/python3
"""What do goroutines, channels, locks and timers cost? Cygnet's primitives beside Go's, State Threads', GNU Pth's and a bare switch.

usage: bench/primitives.py [--rounds 7] [--only yield,spawn] [--build build] [--json]     (see bench/README.md)"""

import argparse
import dataclasses
import glob
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True

import common
import procs
import report
import tools
from procs import BenchError

HEAVY_ROUNDS = 5     # at most, of what takes seconds and gigabytes
TIMEOUT_S = 90
NAMES = {"cyg": "Cygnet", "go": "Go", "st": "State Threads", "pth": "GNU Pth", "floor": "floor"}


@dataclasses.dataclass
class Row:
    name: str
    about: str
    target: float = None    # the goal for Cygnet's time over Go's


@dataclasses.dataclass
class Unit:
    """One mode of the programs and the rows it fills."""
    mode: str
    rows: list
    one_thread: tuple = ()  # programs with one thread that have the thing
    two_cpus: tuple = ()    # programs that have it and need two CPUs
    go: bool = True
    heavy: bool = False


def unit(mode, about, target=None, one_thread=()):
    return Unit(mode, [Row(mode, about, target)], one_thread)


UNITS = [
    Unit("switch_jump", [Row("switch_jump", "bare switch, pop and jump")], ("floor",), go=False),
    Unit("switch_ret", [Row("switch_ret", "bare switch, ret")], ("floor",), go=False),
    Unit("line", [Row("line", "cache line to the other CPU")], two_cpus=("floor",), go=False),
    unit("yield", "yield, 8 in turn", 0.45, ("pth",)),
    unit("yield_crowd", "yield, 1,000 in turn"),
    unit("spawn", "spawn and exit, batches of 100", 0.4, ("st", "pth")),
    unit("chan_unbuffered", "channel, round trip", 0.45),
    unit("chan_buffered", "channel of 100, an element", 0.6),
    unit("select_ready", "select, one of 3 ready", 0.6),
    unit("select_blocking", "select, waits at 2", 0.6),
    unit("mutex", "mutex, nobody else", 1.0, ("st", "pth")),
    unit("mutex_crowd", "mutex, 1,000 at it", 1.0),
    unit("condition", "condition, hand-over", None, ("st", "pth")),
    unit("waitgroup", "waitgroup, add done wait"),
    unit("context", "context with deadline, cancel"),
    Unit("timers", [Row("timer_first", "timer added to 1e6, first"), Row("timer_add", "the same, again", 0.4), Row("timer_stop", "timer of 1e6 stopped", 0.4)]),
    Unit("wake_exit", [Row("park", "first start and park, 1e6"), Row("wake_exit", "wake and exit of 1e6 parked", 0.8),
                       Row("give_back", "giving their memory back")], heavy=True),
]

FLOOR = [row.name for u in UNITS if not u.go for row in u.rows]  # what the machine asks: no candidate's


def _options():
    p = argparse.ArgumentParser(prog="bench/primitives.py", description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=7, help="rounds, each measures every program once (7)")
    p.add_argument("--only", help="rows, comma separated")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print one object a row instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/primitives.jsonl")
    options = p.parse_args()
    names = [row.name for u in UNITS for row in u.rows]
    options.only = options.only.split(",") if options.only else names
    if unknown := set(options.only) - set(names):
        p.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return options


def _build_cygnet(build):
    own = glob.glob(os.path.join(tools.HERE, "primitives", "*.h"))
    return tools.build_cygnet([f"primitives/{f}" for f in ("cyg.c", "cyg_chan.c", "cyg_timer.c")], build, "prim_cyg", own)


def _programs(options):
    """{candidate: program}, and sentences about those left out."""
    shared = [os.path.join(tools.HERE, "primitives", "sample.h")]
    programs = {"cyg": _build_cygnet(options.build), "floor": tools.build_c("primitives/floor.c", name="prim_floor", inputs=shared)}
    left_out = []
    for name, build in (
            ("go", lambda: tools.build_go("primitives/prim.go")),
            ("st", lambda: tools.build_c("primitives/st.c", ["-lst"], "st.h", "prim_st", inputs=shared)),
            ("pth", lambda: tools.build_c("primitives/pth.c", ["-lpth"], "pth.h", "prim_pth", inputs=shared))):
        try:
            programs[name] = build()
        except BenchError as e:
            left_out.append(f"{NAMES[name]} ({e})")
    return programs, left_out


def sample(program, mode, procs_count):
    """Runs a program once: {row name: ns}. One P has CPU 0 to itself, two have both."""
    env = {"GOMAXPROCS": str(procs_count), "CYGNET_MAXPROCS": str(procs_count)}
    process = procs.Process(os.path.basename(program), [program, mode], {0} if procs_count == 1 else {0, 1}, env)
    try:
        out, err = process.popen.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{program} {mode} did not end within {TIMEOUT_S} s ({procs_count} Ps)")
    finally:
        process.stop()
    if process.popen.returncode != 0:
        raise BenchError(f"{program} {mode} failed ({procs_count} Ps): {(err + out).strip()}")
    return {name: float(ns) for name, ns in (line.split() for line in out.splitlines())}


def _cells(options, programs):
    """Every unit at 1 and 2 Ps with the candidates that have it: [(unit, Ps, [candidate])]."""
    cells = []
    for u in UNITS:
        if not any(row.name in options.only for row in u.rows):
            continue
        both = ["cyg", "go"] if u.go else []
        for count, others in ((1, u.one_thread), (2, u.two_cpus)):
            candidates = [c for c in [*both, *others] if c in programs]
            if candidates:
                cells.append((u, count, candidates))
    return cells


def _summary(row, count, samples):
    """One row of the table from {candidate: [sample of each round]}."""
    ns = {c: [s[row.name] for s in own] for c, own in samples.items()}
    first = ns.get("cyg") or ns["floor"]
    middle = report.median(first)
    ratio = report.median(a / b for a, b in zip(ns["cyg"], ns["go"])) if "cyg" in ns and "go" in ns else None
    peers = {f"{c}_ns": report.short(report.median(ns[c])) if c in ns else None for c in ("go", "st", "pth")}
    return {"name": row.name, "p": count, "ns": report.short(middle), "go_ns": peers["go_ns"], "ratio": report.short(ratio),
            "target": row.target, "st_ns": peers["st_ns"], "pth_ns": peers["pth_ns"],
            "spread": report.short((max(first) - min(first)) / 2 / middle), "rounds": [report.short(v) for v in first],
            "go_rounds": [report.short(v) for v in ns.get("go", ())]}


def measure(options):
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchError("two CPUs are needed")
    programs, left_out = _programs(options)
    cells = _cells(options, programs)
    samples = [{c: [] for c in candidates} for _, _, candidates in cells]
    for n in range(options.rounds):
        for (u, count, candidates), own in zip(cells, samples):
            if u.heavy and n >= HEAVY_ROUNDS:
                continue
            for c in common.turned(candidates, n):
                common.say(f"round {n + 1} of {options.rounds}: {u.mode}, {count} P: {NAMES[c]}")
                own[c].append(sample(programs[c], u.mode, count))
    common.say("")
    rows = [_summary(row, count, own) for (u, count, _), own in zip(cells, samples) for row in u.rows]
    return {"bench": "primitives", **tools.describe(), "rounds": options.rounds, "left_out": left_out, "rows": rows}


def _number(value):
    return "-" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _line(row, about):
    verdict = "" if row["target"] is None or row["ratio"] is None or row["ratio"] <= row["target"] else "missed"
    ratio, target = ("-" if v is None else f"{v:.2f}" for v in (row["ratio"], row["target"]))
    own, floor = (None, row["ns"]) if row["name"] in FLOOR else (row["ns"], None)
    return [about[row["name"]], str(row["p"]), _number(floor), _number(own), f"{row['spread']:.0%}", _number(row["go_ns"]), ratio, target,
            _number(row["st_ns"]), _number(row["pth_ns"]), verdict]


def table(record):
    machine, about = record["machine"], {row.name: row.about for u in UNITS for row in u.rows}
    lines = [f"primitives: {machine['cpu']}, {machine['cpus']} CPUs, Linux {record['kernel']}, Go {record['versions']['go']}, "
             f"commit {record['commit']}{' + changes' if record['dirty'] else ''}",
             f"nanoseconds an operation, medians of {record['rounds']} rounds; one P on CPU 0, two on both"]
    lines += [f"left out: {text}" for text in record["left_out"]]
    head = ["operation", "P", "floor", "Cygnet", "+-", "Go", "ratio", "target", "ST", "Pth", ""]
    return "\n".join([*lines, "", *report.aligned([head, *(_line(row, about) for row in record["rows"])])])


def json_lines(record):
    keys = ("name", "p", "ns", "go_ns", "ratio", "target", "st_ns", "pth_ns", "spread")
    return "\n".join(json.dumps({k: row[k] for k in keys}) for row in record["rows"])


if __name__ == "__main__":
    chosen = _options()
    sys.exit(common.finish("primitives", lambda: measure(chosen), json_lines if chosen.json else table, chosen))
