"""Holding many idle connections: load/hold.c as a process that is told what to do."""

import json
import select
import subprocess

import procs
import tools
from procs import BenchError

PATIENCE_S = 120


class Holder:
    """Opens `count` connections to a port from 127.`net`.0.0/16, asks once on each and holds them until it is stopped."""

    def __init__(self, name, port, count, window=64, net=64, cpus=None):
        command = [tools.build_c("load/hold.c"), "-c", str(count), "-w", str(window), "-n", str(net), str(port)]
        self.process = procs.Process(name, command, cpus, stdin=subprocess.PIPE)

    def report(self):
        """What it found after opening, or after an ask: a dict; waits for it."""
        popen = self.process.popen
        if not select.select([popen.stdout], [], [], PATIENCE_S)[0]:
            raise BenchError(f"{self.process.name} has not answered within {PATIENCE_S} s")
        line = popen.stdout.readline()
        if not line:
            raise BenchError(f"{self.process.name} ended: {popen.stderr.read().strip()}")
        return json.loads(line)

    def ask(self):
        """Makes it ask on every connection; report() tells how that went."""
        self.process.popen.stdin.write("ask\n")
        self.process.popen.stdin.flush()

    def stop(self):
        self.process.stop()
