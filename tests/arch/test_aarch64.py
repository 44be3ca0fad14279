"""The runtime on aarch64: sources of the library's lower layers, compiled for it, run under user-mode emulation."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CC = os.environ.get("CYGNET_AARCH64_CC", "aarch64-linux-gnu-gcc")
QEMU = next((q for q in ("qemu-aarch64", "qemu-aarch64-static") if shutil.which(q)), None)
LAYERS = ["base", "proto", "runtime", "sync", "observe", "io", "net"]

pytestmark = [
    pytest.mark.skipif(not shutil.which(CC), reason=f"no cross compiler ({CC})"),
    pytest.mark.skipif(not QEMU, reason="no qemu-aarch64"),
]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("aarch64") / "smoke"
    sources = [p for layer in LAYERS for p in sorted((ROOT / "src" / layer).rglob("*.[cS]"))
               if p.name != "resolver_dns.c"]  # no c-ares for the target
    subprocess.run(
        [CC, "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-static", "-pthread", "-Wall", "-Wextra", "-Werror",
         "-fno-omit-frame-pointer", "-fstack-clash-protection", "-fno-strict-aliasing",
         f"-I{ROOT}/include", f"-I{ROOT}/src", *map(str, sources), str(ROOT / "tests/arch/smoke.c"), "-ldl", "-lm",
         "-Wl,-z,noexecstack", "-o", str(out)], check=True)
    return out


def run(smoke, *args, procs="2", debug=""):
    env = dict(os.environ, CYGNET_MAXPROCS=procs, CYGNET_DEBUG=debug)
    return subprocess.run([QEMU, str(smoke), *args], env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("procs", ["1", "2", "4"])
@pytest.mark.parametrize("debug", ["", "noguard,nopwait2,noexclusive"])
def test_goroutines_switch_sleep_and_talk(smoke, procs, debug):
    done = run(smoke, procs=procs, debug=debug)
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stderr


def test_overflow_is_told_and_fatal(smoke):
    done = run(smoke, "overflow")
    assert "overflowed its 256 KiB stack" in done.stderr
    assert done.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV)
