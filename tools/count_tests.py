#!/usr/bin/env python3
"""Counts tests from reports: meson's testlog.json and pytest's junit XML. Prints "passed failed skipped".

    tools/count_tests.py build/meson-logs/testlog.json build/pytest.xml

A cmocka program counts as the test functions it ran (its "[ RUN ]" lines); one that crashed has begun tests that never
ended, and those failed. Any other program counts as one.
"""

import json
import re
import sys
import xml.etree.ElementTree as xml

RUN = re.compile(r"\[ RUN      \] (\S+)")
OK = re.compile(r"\[       OK \] (\S+)")
SKIPPED = re.compile(r"\[  SKIPPED \] (\S+)")


def count_program(record):
    """(passed, failed, skipped) of one line of testlog.json."""
    text = record.get("stdout", "") + "\n" + record.get("stderr", "")
    good = record["result"] in ("OK", "EXPECTEDFAIL")
    run = len(RUN.findall(text))
    if run == 0:
        return (1, 0, 0) if good else (0, 0, 1) if record["result"] == "SKIP" else (0, 1, 0)
    # The summary names skipped tests once more.
    skipped = len(set(SKIPPED.findall(text)))
    passed = min(len(OK.findall(text)), run - skipped)
    failed = run - passed - skipped
    if not good and failed == 0:
        failed = 1  # it failed outside of its tests: a leak report at exit, a time-out
    return passed, failed, skipped


def count_meson(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        return [count_program(json.loads(line)) for line in log if line.strip()]


def count_pytest(path):
    counts = []
    for suite in xml.parse(path).getroot().iter("testsuite"):
        total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
        failed = int(suite.get("failures")) + int(suite.get("errors"))
        counts.append((max(total - failed - skipped, 0), failed, skipped))
    return counts


def main(paths):
    counts = [c for p in paths for c in (count_meson(p) if p.endswith(".json") else count_pytest(p))]
    print(*(sum(column) for column in zip(*counts)) if counts else (0, 0, 0))


if __name__ == "__main__":
    main(sys.argv[1:])
