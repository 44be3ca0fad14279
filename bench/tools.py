"""What a benchmark is run with: finding the peers' programs (and saying which Debian package brings one that is missing),
building the programs of bench/ into build-bench/, describing the machine."""

import glob
import json
import os
import re
import shutil
import subprocess
import time

from procs import BenchError

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILT = os.path.join(ROOT, "build-bench")
PACKAGES = {"cc": "gcc", "go": "golang-go", "nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "perf": "linux-perf",
            "strace": "strace", "unshare": "util-linux", "taskset": "util-linux", "mount": "mount", "st.h": "libst-dev", "pth.h": "libpth-dev"}
C_FLAGS = ["-std=gnu17", "-O2", "-pthread"]


def find(tool):
    """The path of a program, or BenchError naming its package. Servers often stand outside a user's PATH."""
    path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise BenchError(f"{tool} is missing: apt-get install {PACKAGES.get(tool, tool)}")
    return path


def _run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


def _is_fresh(binary, inputs):
    return os.path.exists(binary) and all(os.path.getmtime(binary) >= os.path.getmtime(path) for path in inputs)


def build_c(sources, libraries=(), header=None, name=None, flags=(), inputs=()):
    """Compiles bench/<source>, or several, and returns the program's path. header: one that must exist (its package is named
    if not). inputs: what else the program is made from, by path: it is built anew when one is newer."""
    paths = [os.path.join(HERE, s) for s in ([sources] if isinstance(sources, str) else sources)]
    binary = os.path.join(BUILT, name or os.path.basename(paths[0])[:-2])
    if _is_fresh(binary, [*paths, *inputs]):
        return binary
    os.makedirs(BUILT, exist_ok=True)
    compiler = find("cc")
    if header:
        probe = subprocess.run([compiler, "-E", "-include", header, "-x", "c", "/dev/null"], capture_output=True)
        if probe.returncode != 0:
            raise BenchError(f"{header} is missing: apt-get install {PACKAGES[header]}")
    _run([compiler, *C_FLAGS, *flags, "-o", binary, *paths, *libraries])
    return binary


def build_cygnet(sources, build, name, inputs=()):
    """Compiles programs of bench/ against the library in Cygnet's build directory `build`, and returns the program's path."""
    library = os.path.join(build, "src", "libcygnet.a")
    if not os.path.exists(library):
        raise BenchError(f"{library} is not built: build Cygnet first, or name its build directory with --build")
    with open(os.path.join(build, "meson-info", "meson-info.json")) as f:
        include = os.path.join(json.load(f)["directories"]["source"], "include")  # its own, should it be another tree's build
    headers = glob.glob(os.path.join(include, "cygnet", "*.h"))
    with open(os.path.join(build, "meson-private", "cygnet.pc")) as f:
        needs = re.search(r"^Libs.private:(.*)$", f.read(), re.M).group(1).split()
    # A name of its own for each build directory: two builds can be compared without compiling anew each time.
    name += "_" + "".join(c if c.isalnum() else "_" for c in os.path.relpath(build, ROOT))
    return build_c(sources, libraries=[library, "-Wl,--as-needed", *needs, "-ldl"], name=name, flags=["-I" + include], inputs=[library, *headers, *inputs])


def build_go(source):
    path, binary = os.path.join(HERE, source), os.path.join(BUILT, "go_" + os.path.basename(source)[:-3])
    if _is_fresh(binary, [path]):
        return binary
    os.makedirs(BUILT, exist_ok=True)
    env = {**os.environ, "GOCACHE": os.path.join(BUILT, "go-cache"), "GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    _run([find("go"), "build", "-o", binary, path], env=env)
    return binary


def _first_line(command, pattern):
    try:
        done = subprocess.run([find(command[0]), *command[1:]], capture_output=True, text=True)
    except BenchError:
        return None
    hit = re.search(pattern, done.stdout + done.stderr)
    return hit.group(1) if hit else None


def _git(*args):
    done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _file(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def describe():
    """The machine, the versions of everything measured, the commit."""
    model = re.search(r"model name\s*: (.*)", _file("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s+(\d+)", _file("/proc/meminfo"))
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": {"cpu": model.group(1).strip() if model else os.uname().machine, "cpus": os.cpu_count(),
                    "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else None},
        "kernel": os.uname().release,
        "congestion_control": _file("/proc/sys/net/ipv4/tcp_congestion_control").strip(),
        "versions": {
            "cc": _first_line(["cc", "--version"], r"(.*)"),
            "nginx": _first_line(["nginx", "-v"], r"nginx/(\S+)"),
            "haproxy": _first_line(["haproxy", "-v"], r"version (\S+)"),
            "go": _first_line(["go", "version"], r"go(\d\S*)"),
            "wrk": _first_line(["wrk", "-v"], r"wrk (?:debian/)?(\S+)"),
            "pth": (re.findall(r'PTH_VERSION_STR\s+"(\S+)', _file("/usr/include/pth.h")) or [None])[0],
            "state-threads": (re.findall(r'ST_VERSION\s+"(.*)"', _file("/usr/include/st.h")) or [None])[0],
        },
    }
