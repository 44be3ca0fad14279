"""Processes of a benchmark: starting them pinned, reading what the kernel counted for them, ending them whatever happens.

Every process started here stands in a Stage; leaving the Stage (an error, Ctrl-C and SIGTERM included) ends its processes and
their children, and should the script itself be killed, the kernel sends them SIGTERM. Nothing else is ever signalled."""

import ctypes
import dataclasses
import glob
import http.client
import os
import random
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class BenchError(Exception):
    """Something a reader of the terminal can act on: printed without a traceback."""


def free_port():
    """A loopback port that nobody listens on, below the range from which the kernel takes ports for outgoing connections."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        top = min(int(f.read().split()[0]), 32768)
    for _ in range(200):
        port = random.randrange(max(1024, top - 12000), top)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise BenchError("no free loopback port found")


@dataclasses.dataclass
class Counters:
    """What the kernel has counted for the threads of a process and its children so far."""
    threads: dict    # (pid, tid) -> (run ns, voluntary switches, involuntary switches)
    ticks_us: float  # user + system time of the processes, ended threads included (coarse: clock ticks)
    busy_us: float   # time that anything at all spent on the process's own CPUs, from /proc/stat

    def since(self, before):
        """The growth since `before` as a dict. A thread that ended in between is missing from run_us, not from ticks_us."""
        total = [0, 0, 0]
        for key, now in self.threads.items():
            was = before.threads.get(key, (0, 0, 0))
            for i in range(3):
                total[i] += now[i] - was[i]
        return {"run_us": total[0] / 1e3, "switches": total[1] + total[2],
                "ticks_us": self.ticks_us - before.ticks_us, "busy_us": self.busy_us - before.busy_us}


def _read(path):
    try:
        with open(path) as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _switches(status):
    count = {"voluntary_ctxt_switches:": 0, "nonvoluntary_ctxt_switches:": 0}
    for line in status.splitlines():
        word = line.split()
        if word and word[0] in count:
            count[word[0]] = int(word[1])
    return tuple(count.values())


def _cpu_busy_us(cpus):
    total = 0
    for line in _read("/proc/stat").splitlines():
        word = line.split()
        if word[0] in {f"cpu{n}" for n in cpus}:
            total += sum(int(x) for x in word[1:4] + word[6:8])  # user, nice, system, irq, softirq
    return total * TICK_US


class Process:
    """One server, upstream or load generator, with its children."""

    def __init__(self, name, command, cpus=None, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.name, self.cpus = name, cpus
        libc = ctypes.CDLL(None)

        def in_child():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

        self.output = open(os.path.join(cwd, f"{name}.out"), "w+") if cwd else None
        self.popen = subprocess.Popen(command, stdin=stdin, stdout=self.output or subprocess.PIPE,
                                      stderr=subprocess.STDOUT if self.output else subprocess.PIPE, text=True, cwd=cwd,
                                      env={**os.environ, **(env or {})}, preexec_fn=in_child, start_new_session=True)

    def pids(self):
        """The process and its descendants."""
        found, look = [], [self.popen.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            for path in glob.glob(f"/proc/{pid}/task/*/children"):
                look += [int(p) for p in _read(path).split()]
        return found

    def counters(self):
        threads, ticks = {}, 0
        for pid in self.pids():
            for task in glob.glob(f"/proc/{pid}/task/*"):
                schedstat = _read(task + "/schedstat").split()
                if schedstat:
                    tid = int(task.rsplit("/", 1)[1])
                    threads[pid, tid] = (int(schedstat[0]), *_switches(_read(task + "/status")))
            stat = _read(f"/proc/{pid}/stat")
            if stat:
                fields = stat[stat.rindex(")") + 2:].split()
                ticks += int(fields[11]) + int(fields[12])
        return Counters(threads, ticks * TICK_US, _cpu_busy_us(self.cpus or ()))

    def rss_kib(self):
        """Resident memory, pages that processes share counted for each."""
        return sum(int(text.split()[1]) * PAGE_KIB for text in (_read(f"/proc/{p}/statm") for p in self.pids()) if text)

    def said(self):
        if not self.output:
            return ""
        self.output.seek(0)
        return self.output.read()[-2000:]

    def stop(self):
        """SIGTERM, and SIGKILL for what is still there after three seconds: the process, and those of its children that
        are left in the group it leads."""
        children = self.pids()[1:]
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid in children:
            try:
                if os.getpgid(pid) == self.popen.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for stream in (self.output, self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()


class Stage:
    """The processes of one measurement: with Stage(directory) as stage: stage.start(...). They end in reverse order."""

    def __init__(self, directory):
        self.directory, self.processes = directory, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.processes:
            self.processes.pop().stop()

    def start(self, name, command, cpus=None, env=None):
        process = Process(name, command, cpus, env, self.directory)
        self.processes.append(process)
        return process


def wait_until_answers(process, port, deadline_s=10):
    """Waits until `process` answers GET / on the port with 200 and the body that every candidate must give."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if process.popen.poll() is not None:
            raise BenchError(f"{process.name} ended at once: {process.said().strip() or 'no message'}")
        try:
            conn = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            conn.request("GET", "/")
            answer = conn.getresponse()
            status, body = answer.status, answer.read()
            conn.close()
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
            continue
        if status != 200 or body.strip() != b"Hello, World!":
            raise BenchError(f"{process.name} answers {status} with {body[:60]!r}, not 200 with 'Hello, World!'")
        return
    raise BenchError(f"{process.name} does not answer on port {port} after {deadline_s} s: {process.said().strip()}")


def end_on_sigterm():
    """SIGTERM unwinds the stack as Ctrl-C does, so that every Stage is left."""
    def handler(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, handler)
