"""What the benchmark scripts share: options, the interleaved rounds, one measurement, and the record of a run.

A script makes a list of Candidates, the first of them the floor, and calls main(). Vocabulary: a candidate is a server being
measured; a sample is one candidate under one load in one round; a cell is all samples of one load and number of connections.
Each sample starts its server afresh, so that no candidate idles beside another, and a lucky memory layout is not kept."""

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import traceback
from typing import Callable, Optional

import loads
import procs
import report
import tools
from procs import BenchError

WARM_UP_S = 0.3


@dataclasses.dataclass
class Place:
    """Where one sample's server is to run: what a candidate's command is made from."""
    directory: str
    port: int
    upstream: Optional[int]
    cpus: int              # how many it may use
    build: str             # Cygnet's build directory


@dataclasses.dataclass
class Candidate:
    name: str
    command: Callable      # Place -> argv; raises BenchError when a program is missing
    env: Callable = lambda place: {}
    log: Optional[str] = None  # its access log in the sample's directory, one line a request


@dataclasses.dataclass
class Bench:
    """One script: its name, candidates (floor first) and whether they need an upstream."""
    name: str
    about: str
    candidates: list
    upstream: Optional[Callable] = None    # port -> argv
    two: bool = False                      # offers --two: not pinned, two threads


def _options(bench):
    p = argparse.ArgumentParser(prog=f"bench/{bench.name}.py", description=bench.about)
    p.add_argument("--rounds", type=int, default=5, help="rounds, each measures every candidate once (5)")
    p.add_argument("--seconds", type=float, default=3.0, help="length of one sample (3)")
    p.add_argument("--conns", default="64,256", help="connections, comma separated (64,256)")
    p.add_argument("--loads", default="lean,wrk", help="load generators, comma separated (lean,wrk)")
    p.add_argument("--only", help="candidates, comma separated; the floor is always among them")
    p.add_argument("--build", default=os.path.join(tools.ROOT, "build"), help="Cygnet's build directory (build)")
    p.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND",
                   help="one more candidate; {port} and {upstream} are filled in: another build, another server")
    p.add_argument("--json", action="store_true", help="print the record instead of the table")
    p.add_argument("--no-record", action="store_true", help=f"do not append to bench/results/{bench.name}.jsonl")
    p.add_argument("--no-syscalls", action="store_true", help="leave out the short run that counts system calls")
    if bench.two:
        p.add_argument("--two", action="store_true", help="not pinned; two threads, workers or Ps for each server")
    options = p.parse_args()
    options.conns = [int(c) for c in options.conns.split(",")]
    options.loads = options.loads.split(",")
    options.two = getattr(options, "two", False)
    if unknown := set(options.loads) - set(loads.LOADS):
        p.error(f"no such load: {', '.join(unknown)}; there are {', '.join(loads.LOADS)}")
    return options


def _chosen(bench, options):
    """The candidates asked for, and sentences about those left out because a program is missing."""
    every = list(bench.candidates)
    for text in options.also:
        name, _, command = text.partition("=")
        every.append(Candidate(name, lambda place, c=command: c.format(port=place.port, upstream=place.upstream).split()))
    if options.only:
        names = options.only.split(",")
        if unknown := set(names) - {c.name for c in every}:
            raise BenchError(f"no such candidate: {', '.join(unknown)}; there are {', '.join(c.name for c in every)}")
        every = [c for i, c in enumerate(every) if i == 0 or c.name in names or c.name in {a.partition("=")[0] for a in options.also}]
    present, left_out, directory = [], [], tempfile.mkdtemp(prefix="cygnet-bench-")
    try:
        for candidate in every:
            try:
                candidate.command(Place(directory, 1, 2, 2 if options.two else 1, options.build))
                present.append(candidate)
            except BenchError as e:
                if candidate is every[0]:
                    raise
                left_out.append(f"{candidate.name} ({e})")
    finally:
        shutil.rmtree(directory)
    return present, left_out


def _lines(path):
    try:
        with open(path, "rb") as f:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: f.read(1 << 20), b""))
    except FileNotFoundError:
        return 0


class Sampler:
    """Takes samples. Server on CPU 0, load and upstream on CPU 1, or all of them anywhere (--two)."""

    def __init__(self, bench, options):
        self.bench, self.options = bench, options
        self.server_cpus, self.load_cpus = (None, None) if options.two else ({0}, {1})

    def _up(self, stage, candidate):
        """Starts the upstream if there is one, then the server, and waits for it. Returns server and port."""
        upstream = None
        if self.bench.upstream:
            upstream = procs.free_port()
            process = stage.start("upstream", self.bench.upstream(upstream), self.load_cpus)
            procs.wait_until_answers(process, upstream)
        place = Place(stage.directory, procs.free_port(), upstream, 2 if self.options.two else 1, self.options.build)
        server = stage.start(candidate.name, candidate.command(place), self.server_cpus, candidate.env(place))
        procs.wait_until_answers(server, place.port)
        return server, place.port

    def sample(self, candidate, load, conns):
        directory = tempfile.mkdtemp(prefix="cygnet-bench-")
        try:
            with procs.Stage(directory) as stage:
                server, port = self._up(stage, candidate)
                warm_up = loads.run("lean", port, conns, WARM_UP_S, self.load_cpus)
                rss, before = [], server.counters()
                result = loads.run(load, port, conns, self.options.seconds, self.load_cpus, lambda: rss.append(server.rss_kib()))
                figures = self._figures(result, server.counters().since(before), rss)
            if candidate.log:  # the server has ended, and written what it held
                asked = warm_up["requests"] + result["requests"]
                figures["unlogged"] = max(0, asked - _lines(os.path.join(directory, candidate.log)))
            return figures
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _figures(self, result, grown, rss):
        requests = result["requests"]
        wall = requests / result["rps"] * 1e6  # the load's own clock: its start and end are not the server's idleness
        cpus = 2 if self.options.two else 1
        return {
            "cpu_us": grown["run_us"] / requests, "cpu_us_by_ticks": grown["ticks_us"] / requests,
            "rps": result["rps"], "p50_us": result["p50_us"], "p99_us": result["p99_us"],
            "utilisation": min(1.0, grown["run_us"] / wall / cpus), "switches": grown["switches"] / requests,
            "rss_mib": rss[0] / 1024 if rss else None, "errors": result["errors"], "requests": requests,
            # What the server's CPU did for others meanwhile; not known when nothing is pinned.
            "others": None if self.options.two else max(0.0, (grown["busy_us"] - grown["run_us"]) / wall),
        }

    def syscalls(self, candidate, conns):
        directory = tempfile.mkdtemp(prefix="cygnet-bench-")
        try:
            with procs.Stage(directory) as stage:
                server, port = self._up(stage, candidate)
                return loads.syscalls_per_request(server, port, conns, self.load_cpus, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def turned(candidates, n):
    """The order of round n: nobody always runs after the same neighbour."""
    turn = n % len(candidates)
    return candidates[turn:] + candidates[:turn]


def _cell(sampler, candidates, load, conns):
    """All rounds of one load and number of connections: {candidate name: [sample of each round]}."""
    samples = {c.name: [] for c in candidates}
    for n in range(sampler.options.rounds):
        for candidate in turned(candidates, n):
            say(f"{load} {conns}: round {n + 1} of {sampler.options.rounds}: {candidate.name}")
            samples[candidate.name].append(sampler.sample(candidate, load, conns))
    return samples


def say(text):
    """What happens now, in a line of the terminal that the next replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _measure(bench, options):
    if not options.two and len(os.sched_getaffinity(0)) < 2:
        raise BenchError("two CPUs are needed: one for the server, one for the load")
    candidates, left_out = _chosen(bench, options)
    sampler = Sampler(bench, options)
    cells = []
    for conns in options.conns:
        counted = {}
        for candidate in () if options.no_syscalls else candidates:
            say(f"system calls: {candidate.name}")
            counted[candidate.name] = sampler.syscalls(candidate, conns)
        for load in options.loads:
            samples = _cell(sampler, candidates, load, conns)
            cells.append({"load": load, "conns": conns,
                          "candidates": report.summarise(samples, candidates[0].name, counted)})
    say("")
    return {"bench": bench.name, **tools.describe(), "mode": "two" if options.two else "pinned", "rounds": options.rounds,
            "seconds": options.seconds, "left_out": left_out, "cells": cells}


def append(name, record):
    """Adds a run to bench/results/<name>.jsonl."""
    record = {**record, "left_out": [text.partition(" (")[0] for text in record["left_out"]]}  # the reasons name local paths
    directory = os.path.join(tools.HERE, "results")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name + ".jsonl"), "a") as f:
        f.write(json.dumps(record) + "\n")


def finish(name, measure, table, options):
    """Makes a record with measure(), appends it and prints table(record); returns the exit status. Errors are told as they are:
    a BenchError in one line, anything else with its traceback."""
    procs.end_on_sigterm()
    try:
        record = measure()
    except BenchError as e:
        print(f"\nbench/{name}.py: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing recorded", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    if not options.no_record:
        append(name, record)
    print(table(record))
    return 0


def main(bench):
    options = _options(bench)
    return finish(bench.name, lambda: _measure(bench, options), json.dumps if options.json else report.table, options)
