"""The load generators, and counting a server's system calls. Each load drives keep-alive connections in a closed loop: a
connection asks again when its answer has come."""

import json
import os
import re
import signal
import subprocess

from procs import BenchError, Process
import tools

LOADS = ("lean", "wrk")
# Counted by name too, where the kernel has the event; the rest is in the total alone.
NAMED = ("read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "epoll_wait", "epoll_pwait",
         "epoll_pwait2", "poll", "ppoll", "select", "epoll_ctl", "futex", "accept", "accept4", "splice", "io_uring_enter", "nanosleep", "clock_nanosleep",
         "sched_yield", "madvise", "mmap", "munmap", "shutdown", "close", "getpid", "timerfd_settime", "membarrier")
EVENTS = "/sys/kernel/tracing/events/syscalls/sys_enter_"
UNIT_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}


def command(load, port, conns, seconds):
    if load == "lean":
        return [tools.build_c("load/lean.c"), "-c", str(conns), "-d", str(seconds), str(port)]
    return [tools.find("wrk"), "-t1", "-c", str(conns), "-d", f"{max(1, round(seconds))}s", "--latency",
            f"http://127.0.0.1:{port}/"]


def _wrk_latency(text, share):
    hit = re.search(rf"^\s*{share}%\s+([\d.]+)(us|ms|s|m)$", text, re.M)
    return float(hit.group(1)) * UNIT_US[hit.group(2)] if hit else None


def parse(load, text):
    """What a load printed as a dict: requests, rps, p50_us, p99_us, errors."""
    if load == "lean":
        return json.loads(text)
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not requests or not rate:
        raise BenchError(f"wrk said: {text.strip()}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = (int(bad.group(1)) if bad else 0) + (sum(map(int, socket_errors.groups())) if socket_errors else 0)
    return {"requests": int(requests.group(1)), "rps": float(rate.group(1)), "p50_us": _wrk_latency(text, 50),
            "p99_us": _wrk_latency(text, 99), "errors": errors}


def run(load, port, conns, seconds, cpus, at_three_quarters=None):
    """Runs one load to its end and returns what it counted; at_three_quarters is called while it still runs."""
    process = Process(load, command(load, port, conns, seconds), cpus)
    try:
        if at_three_quarters:
            try:
                process.popen.wait(seconds * 0.75)
            except subprocess.TimeoutExpired:
                at_three_quarters()
        out, err = process.popen.communicate(timeout=seconds + 20)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{load} did not end")
    finally:
        process.stop()
    if process.popen.returncode != 0:
        raise BenchError(f"{load} failed: {(err + out).strip()}")
    result = parse(load, out)
    if result["requests"] == 0:
        raise BenchError(f"{load} got no answer")
    return result


def _perf_counts(pids, during):
    """Counts in the kernel (tracepoints): exact, and cheap enough not to change what is counted."""
    names = [n for n in NAMED if os.path.isdir(EVENTS + n)]
    events = ["raw_syscalls:sys_enter"] + [f"syscalls:sys_enter_{n}" for n in names]
    perf = Process("perf", [tools.find("perf"), "stat", "-x,", "-e", ",".join(events), "-p", ",".join(map(str, pids))])
    try:
        try:
            perf.popen.wait(0.3)  # attaching
        except subprocess.TimeoutExpired:
            pass
        during()
        perf.popen.send_signal(signal.SIGINT)
        _, text = perf.popen.communicate(timeout=10)
    finally:
        perf.stop()
    counts = {}
    for line in text.splitlines():
        field = line.split(",")
        if len(field) > 2 and field[0].isdigit():
            counts[field[2].removeprefix("syscalls:sys_enter_")] = int(field[0])
    if "raw_syscalls:sys_enter" not in counts:
        raise BenchError("perf counts no system calls here")
    counts["total"] = counts.pop("raw_syscalls:sys_enter")
    return counts


def _strace_counts(pids, during, directory):
    """The fallback: every call stops the server, so that its batches grow and its waits are fewer than in truth."""
    out = os.path.join(directory, "strace.out")
    strace = Process("strace", [tools.find("strace"), "-f", "-c", "-o", out] + [a for p in pids for a in ("-p", str(p))])
    try:
        try:
            strace.popen.wait(0.3)
        except subprocess.TimeoutExpired:
            pass
        during()
        strace.popen.send_signal(signal.SIGINT)
        strace.popen.wait(10)
    finally:
        strace.stop()
    counts = {"total": 0}
    with open(out) as f:
        for line in f:
            field = line.split()
            if len(field) >= 5 and field[0][0].isdigit() and field[-1] != "total":
                counts[field[-1]] = int(field[3])
                counts["total"] += int(field[3])
    return counts


def syscalls_per_request(server, port, conns, cpus, directory):
    """System calls per request of `server` under a short lean load: {"by": "perf" | "strace", "total": …, name: …}."""
    result = {}

    def during():
        result.update(run("lean", port, conns, 1.0, cpus))

    try:
        counts, by = _perf_counts(server.pids(), during), "perf"
    except BenchError:
        counts, by = _strace_counts(server.pids(), during, directory), "strace"
    return {"by": by, **{n: round(c / result["requests"], 4) for n, c in counts.items() if c / result["requests"] >= 0.0005}}
