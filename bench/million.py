#!/usr/bin/python3
"""What do a million parked goroutines cost? Memory, mappings, and the time to start, park, wake and end them.

usage: bench/million.py [--count 1000000] [--rounds 3] [--build build] [--json]     (see bench/README.md)"""

import argparse
import json
import os
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True

import common
import procs
import report
import tools
from procs import BenchError

TARGET_KIB = 4.7     # resident memory and page tables of a parked goroutine
TIMEOUT_S = 120
MODES = {"guards by madvise": "", "CYGNET_DEBUG=noguard": "noguard"}
PHASES = ("spawn_ns", "park_ns", "wake_ns", "end_ns")


def _options():
    p = argparse.ArgumentParser(prog="bench/million.py", description=__doc__.splitlines()[0])
    p.add_argument("--count", type=int, default=1000000, help="goroutines (1000000: 5 GiB of memory)")
    p.add_argument("--rounds", type=int, default=3, help="rounds, each measures both kinds of guards at 1 and 2 Ps (3)")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help="do not append to bench/results/million.jsonl")
    return p.parse_args()


def sample(program, count, ps, debug):
    """Runs the program once; what it printed."""
    env = {"CYGNET_MAXPROCS": str(ps), "CYGNET_DEBUG": debug}
    process = procs.Process("million", [program, str(count)], {0} if ps == 1 else {0, 1}, env)
    try:
        out, err = process.popen.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"the program did not end within {TIMEOUT_S} s ({ps} Ps)")
    finally:
        process.stop()
    if process.popen.returncode != 0:
        raise BenchError(f"the program failed ({ps} Ps): {(err + out).strip()}")
    return json.loads(out)


def _summary(mode, ps, own):
    row = {"guards": mode, "p": ps}
    for figure in (*PHASES, "rss_bytes", "page_table_bytes", "mappings", "left_bytes", "guarded"):
        row[figure] = report.short(statistics.median(s[figure] for s in own))
    row["kib"] = report.short((row["rss_bytes"] + row["page_table_bytes"]) / 1024)
    row["max_map_count"] = own[0]["max_map_count"]
    return row


def measure(options):
    program = tools.build_cygnet("million.c", options.build, "million")
    cells = [(mode, ps) for mode in MODES for ps in (1, 2)]
    samples = {cell: [] for cell in cells}
    for n in range(options.rounds):
        for mode, ps in common.turned(cells, n):
            common.say(f"round {n + 1} of {options.rounds}: {mode}, {ps} Ps")
            samples[mode, ps].append(sample(program, options.count, ps, MODES[mode]))
    common.say("")
    return {"bench": "million", **tools.describe(), "rounds": options.rounds, "count": options.count, "target_kib": TARGET_KIB,
            "left_out": [], "rows": [_summary(mode, ps, own) for (mode, ps), own in samples.items()]}


def table(record):
    machine = record["machine"]
    lines = [f"million: {machine['cpu']}, {machine['cpus']} CPUs, Linux {record['kernel']}, commit {record['commit']}"
             f"{' + changes' if record['dirty'] else ''}",
             f"medians of {record['rounds']} rounds; {record['count']} goroutines; nanoseconds and bytes are for each of them", ""]
    rows = [["stacks", "P", "spawn ns", "park ns", "wake ns", "end ns", "RSS", "tables", "KiB in all", "goal", "mappings", "limit",
             "unguarded", "left"]]
    for row in record["rows"]:
        rows.append([row["guards"], str(row["p"]), *(f"{row[phase]:.0f}" for phase in PHASES), f"{row['rss_bytes']:.0f}",
                     f"{row['page_table_bytes']:.0f}", f"{row['kib']:.2f}", "ok" if row["kib"] <= record["target_kib"] else
                     f"> {record['target_kib']}", f"{row['mappings']:.0f}", str(row["max_map_count"]),
                     f"{max(0, record['count'] - row['guarded']):.0f}", f"{row['left_bytes']:.0f}"])
    return "\n".join(lines + report.aligned(rows))


if __name__ == "__main__":
    chosen = _options()
    sys.exit(common.finish("million", lambda: measure(chosen), json.dumps if chosen.json else table, chosen))
