#!/usr/bin/env python3
"""Checks the models: each holds as it stands, and fails with each of its guards removed.

    models/run.py [-j N] [-v] [MODEL ...]      all models, or those named (retake, models/retake.pml)
    models/run.py --trail MODEL [MUTANT]       shows the steps to the error, with the model's statements

A model is a .pml file whose head says, one a line, `MUTANT_n: what is missing`; `spin -DMUTANT_n` leaves that out. Needs spin
and a C compiler (CC; by default cc, and clang for the mutants if there is one). The exit status is 0 if every model holds and every mutant fails.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MUTANT = re.compile(r"^ \* MUTANT_(\d+): (.+)$", re.M)
MEMORY_MIB = 900
DEPTH = 400_000
SECONDS = 120


class ModelError(Exception):
    """A model that could not be judged: it does not compile, or the search was cut short."""


@dataclass
class Verdict:
    model: str
    mutant: int  # 0: the model as it stands
    errors: int
    what: str  # the first error
    states: int
    mib: float
    seconds: float
    unreached: list  # statements that no run of the model came to
    trail: str = ""

    @property
    def good(self):
        return self.errors > 0 if self.mutant else self.errors == 0 and not self.unreached

    @property
    def name(self):
        return f"{self.model} MUTANT_{self.mutant}" if self.mutant else self.model


def models():
    return sorted(HERE.glob("*.pml"))


def mutants(path):
    """{number: what is missing}, from the head of the file. Every switch that the file uses must be described, and the reverse."""
    text = path.read_text()
    described = {int(n): what for n, what in MUTANT.findall(text.split("*/")[0])}
    used = {int(n) for n in re.findall(r"^#.*\bMUTANT_(\d+)\b", text, re.M)}
    if used != set(described):
        raise ModelError(f"{path.name}: the head describes mutants {sorted(described)}, the model has {sorted(used)}")
    return described


def command(args, cwd, seconds=SECONDS):
    try:
        return subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as e:
        raise ModelError(f"{' '.join(map(str, args))}: no end within {seconds} s") from e


def number(pattern, text, kind=int):
    found = re.search(pattern, text)
    if not found:
        raise ModelError(f"the verifier said something unexpected:\n{text}")
    return kind(found.group(1))


def check(path, mutant=0, want_trail=False):
    """Verifies one variant exhaustively; a mutant only until its first error."""
    start = time.monotonic()
    switch = [f"-DMUTANT_{mutant}"] if mutant else []
    with tempfile.TemporaryDirectory() as tmp:
        for source in [path, *path.parent.glob("*.h")]:
            shutil.copy(source, tmp)
        done = command(["spin", *switch, "-a", path.name], tmp)
        if done.returncode != 0 or not Path(tmp, "pan.c").exists():
            raise ModelError(f"{path.name}: spin: {done.stdout[:2000]}{done.stderr[:2000]}")
        # A mutant is a short search: its compilation is what costs, and clang's takes half of gcc's.
        level = ["-O0", "-DREVERSE"] if mutant else ["-O1"]
        cc = os.environ.get("CC") or ("clang" if mutant and shutil.which("clang") else "cc")
        done = command([cc, "-w", *level, "-DSAFETY", "-DVECTORSZ=2048", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"], tmp)
        if done.returncode != 0:
            raise ModelError(f"{path.name}: {cc}: {done.stderr}")
        out = command(["./pan", f"-m{DEPTH}", "-w20"], tmp).stdout
        errors = number(r"errors: (\d+)", out)
        if not errors and re.search(r"max search depth too small|out of memory|reached -DMEMLIM|Search not completed", out):
            raise ModelError(f"{path.name}: the search was cut short: {out[:400]}")
        found = re.search(r"^pan:\d*:? ?(.*) \(at depth", out, re.M)
        trail = ""
        if want_trail and errors:
            trail = command(["spin", *switch, "-t", "-p", "-g", "-l", path.name], tmp).stdout
        return Verdict(path.stem, mutant, errors, found.group(1) if found else "", number(r"(\d+) states, stored", out),
                       number(r"([\d.]+)\s+total actual memory usage", out, float), time.monotonic() - start,
                       [u for u in re.findall(r"^\s+(\S+\.(?:pml|h):\d+, state \d+, .*)$", out, re.M) if '"-end-"' not in u] if not errors and not mutant else [],
                       trail)


def line(v, what):
    word = "ok  " if v.good else "FAIL"
    if v.mutant:
        said = f"fails: {v.what}" if v.errors else "HOLDS without its guard"
        return f"{word} {v.name:<26} {said}  [{what}]"
    said = "holds" if not v.errors else f"ERROR: {v.what}"
    said += f"; never reached: {'; '.join(v.unreached)}" if v.unreached else ""
    return f"{word} {v.name:<26} {said}, {v.states} states, {v.mib:.0f} MiB, {v.seconds:.1f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-j", type=int, default=1, metavar="N", help="check so many at a time")
    parser.add_argument("--trail", action="store_true", help="show the steps to the error of one model (and mutant)")
    parser.add_argument("names", nargs="*", metavar="MODEL")
    args = parser.parse_args()
    if args.trail:
        v = check(HERE / f"{Path(args.names[0]).stem}.pml", int(args.names[1]) if len(args.names) > 1 else 0, True)
        print(v.trail if v.errors else f"{v.name} has no error")
        return 0
    chosen = [p for p in models() if not args.names or p.stem in {Path(n).stem for n in args.names}]
    if not chosen or (args.names and len(chosen) != len(args.names)):
        parser.error(f"there are: {', '.join(p.stem for p in models())}")
    start = time.monotonic()
    work = [(p, n, what) for p in chosen for n, what in {0: "", **mutants(p)}.items()]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for (p, n, what), v in zip(work, [pool.submit(check, p, n) for p, n, _ in work]):
            try:
                print(line(v.result(), what), flush=True)
                bad += not v.result().good
            except ModelError as e:
                print(f"FAIL {p.stem} {n or ''}: {e}", flush=True)
                bad += 1
    print(f"{len(chosen)} models, {len(work) - len(chosen)} mutants, {bad} wrong, {time.monotonic() - start:.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
