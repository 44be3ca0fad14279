"""`make install` gives a tree that a program compiles against with pkg-config, shared and static, and that exports only cyg_."""

import os
import shutil
import subprocess

import pytest

PREFIX = "/opt/cygnet"


@pytest.fixture(scope="module")
def installed(root, build, tmp_path_factory):
    """The tree below DESTDIR. Installed from the build that was tested; its prefix is put back by the next install."""
    dest = tmp_path_factory.mktemp("dest")
    done = subprocess.run(
        ["make", "-s", "install", f"BUILD={build}", f"PREFIX={PREFIX}", f"DESTDIR={dest}"],
        cwd=root, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True, text=True, timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dest


def test_a_place_that_cannot_be_written_to_is_one_sentence(root, build):
    done = subprocess.run(
        ["make", "-s", "install", f"BUILD={build}", "PREFIX=/dev/null"], cwd=root,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")}, capture_output=True, text=True, timeout=600,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("/dev/null cannot be written to: sudo make install")


def pkg_config(dest, *args):
    env = {
        **os.environ,
        "PKG_CONFIG_LIBDIR": f"{dest}{PREFIX}/lib/pkgconfig",
        "PKG_CONFIG_SYSROOT_DIR": str(dest),
    }
    return subprocess.run(
        ["pkg-config", *args, "cygnet"], env=env, check=True, capture_output=True, text=True
    ).stdout.split()


def test_tree_is_complete(root, installed):
    top = installed / PREFIX.lstrip("/")
    assert os.access(top / "bin" / "cygnet", os.X_OK)
    headers = {p.name for p in (root / "include" / "cygnet").glob("*.h")}
    assert {p.name for p in (top / "include" / "cygnet").iterdir()} == headers
    assert {p.name for p in (top / "lib").iterdir()} == {
        "libcygnet.a", "libcygnet.so", "libcygnet.so.0.1", "libcygnet.so.0.1.0", "pkgconfig",
    }
    assert (top / "share/cygnet/gdb/cygnet.py").is_file()
    assert (top / f"share/gdb/auto-load{PREFIX}/lib/libcygnet.so.0.1.0-gdb.py").is_file()
    assert pkg_config(installed, "--modversion") == ["0.1.0"]


@pytest.mark.parametrize("linking", ["shared", "static"])
def test_example_builds_and_runs_against_it(root, installed, tmp_path, compiler, linking):
    program = tmp_path / "use_net"
    if linking == "shared":
        flags = pkg_config(installed, "--cflags", "--libs")
    else:
        flags = pkg_config(installed, "--cflags", "--libs", "--static")
        at = flags.index("-lcygnet")
        flags[at : at + 1] = ["-Wl,-Bstatic", "-lcygnet", "-Wl,-Bdynamic"]
    source = root / "tests" / "headers" / "use_net.c"
    subprocess.run([compiler, "-O2", "-o", program, source, *flags], check=True, timeout=120)
    needed = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    assert ("libcygnet.so.0.1]" in needed) == (linking == "shared")
    env = {**os.environ, "LD_LIBRARY_PATH": f"{installed}{PREFIX}/lib"}
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("gdb"), reason="no gdb")
def test_gdb_loads_the_script_with_the_library(root, installed, tmp_path):
    """As with a prefix of /usr, where gdb looks by itself; here its two settings are what they would be."""
    library = f"{installed}{PREFIX}/lib/libcygnet.so.0.1.0"
    auto_load = f"{installed}{PREFIX}/share/gdb/auto-load"
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", f"set debug-file-directory {tmp_path}", "-iex", f"add-auto-load-safe-path {auto_load}",
         "-iex", f"add-auto-load-scripts-directory {auto_load}", "-ex", f"file {link(auto_load, library)}", "-ex", "help goroutine"],
        capture_output=True, text=True, timeout=60)
    assert "Go to a goroutine" in done.stdout, done.stdout + done.stderr


def link(auto_load, library):
    """gdb looks for DIRECTORY/ABSOLUTE PATH OF THE LIBRARY-gdb.py; below DESTDIR that path is another one."""
    script = f"{auto_load}{library}-gdb.py"
    os.makedirs(os.path.dirname(script), exist_ok=True)
    if not os.path.exists(script):
        os.symlink(f"{auto_load}{PREFIX}/lib/libcygnet.so.0.1.0-gdb.py", script)
    return library


def test_only_cyg_is_exported(installed):
    library = f"{installed}{PREFIX}/lib/libcygnet.so"
    done = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True)
    names = [line.split()[-1] for line in done.stdout.splitlines()]
    assert len(names) > 50
    assert [n for n in names if not n.startswith("cyg_")] == []


def test_no_stack_is_executable(installed):
    """One assembler file without a .note.GNU-stack section is enough to make every stack of the process executable."""
    for file in ("bin/cygnet", "lib/libcygnet.so"):
        done = subprocess.run(["readelf", "-lW", f"{installed}{PREFIX}/{file}"], check=True, capture_output=True, text=True)
        stack = [line for line in done.stdout.splitlines() if "GNU_STACK" in line]
        assert len(stack) == 1 and " RW " in stack[0], stack
