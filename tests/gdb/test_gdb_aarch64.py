"""The same on aarch64, as far as an emulator goes: the library's lower layers, compiled for it and linked statically, a core file
that qemu-user writes, and its gdb server for stepping through the switch."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from test_gdb import HERE, check_chains, check_list, from_core
from test_unwind import check_change, check_whole, step_through

CC = os.environ.get("CYGNET_AARCH64_CC", "aarch64-linux-gnu-gcc")
QEMU = next((q for q in ("qemu-aarch64", "qemu-aarch64-static") if shutil.which(q)), None)
GDB = shutil.which("gdb-multiarch")
LAYERS = ["base", "proto", "runtime", "sync", "observe", "io", "net"]

pytestmark = [
    pytest.mark.skipif(not shutil.which(CC), reason=f"no cross compiler ({CC})"),
    pytest.mark.skipif(not QEMU, reason="no qemu-aarch64"),
    pytest.mark.skipif(not GDB, reason="no gdb-multiarch"),
]


class Emulated:
    """tests/gdb/NAME.c for aarch64."""

    def __init__(self, root, folder, name):
        self.path = folder / name
        self.gdb = GDB
        self.env = {**os.environ, "CYGNET_MAXPROCS": "1", "DEBUGINFOD_URLS": ""}
        self.env.pop("CYGNET_DEBUG", None)
        sources = [p for layer in LAYERS for p in sorted((root / "src" / layer).rglob("*.[cS]"))
                   if p.name != "resolver_dns.c"]  # no c-ares for the target
        subprocess.run(
            [CC, "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-static", "-pthread", "-fno-omit-frame-pointer",
             "-fstack-clash-protection", "-fno-strict-aliasing", f"-I{root}/include", f"-I{root}/src", *sources,
             f"{HERE}/{name}.c", "-ldl", "-lm", "-Wl,-z,noexecstack", "-o", self.path], check=True, timeout=300,
            capture_output=True)


def test_list_and_backtraces_of_a_core_file(root, tmp_path):
    program = Emulated(root, tmp_path, "parked")
    import resource
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard == 0:
        pytest.skip("core files are forbidden by a resource limit")
    process = subprocess.Popen([QEMU, program.path], env=program.env, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    try:
        assert process.stdout.readline() == "ready\n"
    finally:
        process.send_signal(signal.SIGABRT)
        process.wait(timeout=60)
    cores = list(tmp_path.glob("qemu_*.core"))  # the guest's; the kernel may write one of the emulator too
    assert cores, "qemu-user wrote no core file"
    out = from_core(program, cores[0], "info goroutines", "goroutine all bt")
    check_list(out[0], runner="compute")
    check_chains(out[1], "static", runner="compute")


def test_gdb_sees_whole_chains_at_every_instruction_of_the_switch(root, tmp_path):
    program = Emulated(root, tmp_path, "switching")
    socket = tmp_path / "gdb"
    process = subprocess.Popen([QEMU, "-g", socket, program.path], env=program.env)
    try:
        deadline = time.monotonic() + 30
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        steps = step_through(GDB, program, remote=socket)
    finally:
        process.kill()
        process.wait()
    check_whole(steps)
    check_change(steps)
