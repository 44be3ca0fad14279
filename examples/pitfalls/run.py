#!/usr/bin/env python3
"""Shows one of the pitfalls: builds what is in its directory, runs each form, prints their numbers side by side.

    examples/pitfalls/run.py 08-raw-system-calls [--short] [--form NAME] [--json]

examples/pitfalls/README.md says what a directory holds. Relies on a build of Cygnet (CYGNET_BUILD, or build/ at the top) and, for
the forms in Go, on Go; without Go they are left out, and that is said.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = Path(os.environ.get("CYGNET_BUILD", ROOT / "build")).resolve()
WIDTH = 110  # columns of a terminal
LIMIT = 120  # seconds that a form may take, unless its description says otherwise
STRACE_ROW = re.compile(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")


class Missing(Exception):
    """What a form needs is not on this machine."""


class Failed(Exception):
    """A form could not be built, or did not end as it should."""


def names():
    return sorted(p.parent.name for p in HERE.glob("*/pitfall.toml"))


def describe(name):
    try:
        return tomllib.loads((HERE / name / "pitfall.toml").read_text())
    except FileNotFoundError:
        raise Failed(f"there is no pitfall {name!r}; there are {', '.join(names())}") from None


def build_go(directory, flags):
    go = shutil.which("go")
    if not go:
        raise Missing("Go is not installed (Debian: apt-get install golang-go)")
    binary = BUILD / "examples" / "pitfalls" / "-".join([directory.parent.name, directory.name, *(f.strip("-") for f in flags)])
    sources = list(directory.glob("*.go"))
    if binary.exists() and all(binary.stat().st_mtime >= s.stat().st_mtime for s in sources):
        return binary
    env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(BUILD / "go-cache")}
    done = subprocess.run([go, "build", *flags, "-o", str(binary), "."], cwd=directory, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"go build in {directory}:\n{done.stderr}")
    return binary


def program(name, form):
    """The program of a form: `go = "go"` names a directory to build, `c = "cygnet"` a file that meson has built."""
    if "go" in form:
        return build_go(HERE / name / form["go"], form.get("go_flags", []))
    path = BUILD / "examples" / "pitfalls" / f"{name}-{form['c']}"
    if not path.exists():
        raise Failed(f"{path} is not built: run make first, or name a build directory in CYGNET_BUILD")
    return path


def traced(calls, report):
    if not shutil.which("strace"):
        raise Missing("strace is not installed (Debian: apt-get install strace)")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        raise Missing("strace cannot trace here")
    # Calls that this machine does not have are no error with "?".
    return ["strace", "-f", "-c", "-o", report, "-e", "trace=" + ",".join("?" + c for c in calls)]


def ending(status):
    return signal.Signals(-status).name if status < 0 else f"status {status}"


def run_bounded(command, scratch, env, limit):
    """(exit status, or None when it took too long; standard output; standard error). What it started ends with it."""
    with open(os.path.join(scratch, "out"), "w+") as out, open(os.path.join(scratch, "err"), "w+") as err:
        p = subprocess.Popen(command, cwd=scratch, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        try:
            status = p.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            status = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        out.seek(0)
        err.seek(0)
        return status, out.read(), err.read()


def run_form(name, form, short):
    """Runs one form: ({key: value}, [lines of standard error that its description asks for])."""
    command = [str(program(name, form)), *(form.get("short", form.get("args", [])) if short else form.get("args", []))]
    calls = form.get("strace", [])
    with tempfile.TemporaryDirectory(prefix="pitfall-") as scratch:
        counts = os.path.join(scratch, "strace")
        if calls:
            command = traced(calls, counts) + command
        status, out, err = run_bounded(command, scratch, {**os.environ, **form.get("env", {})}, form.get("limit", LIMIT))
        if status is None:
            raise Failed(f"{name}, {form['name']}: still running after {form.get('limit', LIMIT)} s\n{out}\n{err[-4000:]}")
        wanted = form.get("ends", ["status 0"])
        if ending(status) not in wanted:
            raise Failed(f"{name}, {form['name']}: ended with {ending(status)}, not {' or '.join(wanted)}\n{out}\n{err[-4000:]}")
        values = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)
        if calls:
            made = dict.fromkeys(calls, 0)
            for m in filter(None, map(STRACE_ROW.match, Path(counts).read_text().splitlines())):
                if m[2] in made:
                    made[m[2]] += int(m[1])
            values |= {f"{call} calls": str(n) for call, n in made.items()}
    said = [line for line in err.splitlines() if any(re.search(p, line) for p in form.get("said", []))]
    return values, said


def show(name, short=False, only=None):
    """Runs the forms of a pitfall: {form: {"values": …, "said": […]}}, or {"missing": why} for a form that cannot run here."""
    shown = {}
    for form in describe(name)["form"]:
        if only and form["name"] not in only:
            continue
        try:
            values, said = run_form(name, form, short)
            shown[form["name"]] = {"values": values, "said": said}
        except Missing as why:
            shown[form["name"]] = {"missing": str(why)}
    if not shown:
        raise Failed(f"{name} has no form {' or '.join(only)}; there are {'; '.join(f['name'] for f in describe(name)['form'])}")
    return shown


def side_by_side(rows):
    """The columns of a table in as many pieces as it takes to fit WIDTH, each with the first column."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    pieces, used = [[]], widths[0]
    for i, width in enumerate(widths[1:], 1):
        if pieces[-1] and used + 2 + width > WIDTH:
            pieces.append([])
            used = widths[0]
        pieces[-1].append(i)
        used += 2 + width
    for columns in pieces:
        yield ["  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in columns)]).rstrip() for row in rows]


def print_table(name, shown):
    described = describe(name)
    print(f"{int(name[:2])}. {described['title']}\n")
    here = [f for f in shown if "values" in shown[f]]
    rows = [[look["key"], *(shown[f]["values"].get(look["key"], "-") for f in here)] for look in described["look"]]
    for piece, lines in enumerate(side_by_side([["", *here], *rows])):
        print(("\n" if piece else "") + lines[0])
        for line, look in zip(lines[1:], described["look"]):
            print(line)
            if piece == 0:  # said once
                print(textwrap.fill(look["say"], WIDTH - 8, initial_indent="    ", subsequent_indent="    "))
    for form, what in shown.items():
        if what.get("said"):
            print(f"\n{form} said:")
            print("\n".join("    " + line for line in what["said"]))
        if "missing" in what:
            print(f"\n{form} is left out: {what['missing']}")
    print(f"\nRead on in docs/pitfalls/{name}.md")


def main():
    p = argparse.ArgumentParser(description="Shows one of the pitfalls: the failure and the guard, side by side.")
    p.add_argument("name", metavar="NAME", help=f"one of: {', '.join(names())}")
    p.add_argument("--short", action="store_true", help="smaller numbers, a second or two")
    p.add_argument("--form", action="append", metavar="NAME", help="this form only")
    p.add_argument("--json", action="store_true", help="the values as one JSON object")
    a = p.parse_args()
    try:
        shown = show(a.name.rstrip("/"), a.short, a.form)
    except Failed as why:
        sys.exit(f"run.py: {why}")
    if a.json:
        print(json.dumps(shown, indent=2))
    else:
        print_table(a.name.rstrip("/"), shown)


if __name__ == "__main__":
    main()
