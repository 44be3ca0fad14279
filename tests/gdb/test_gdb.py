"""gdb sees goroutines: tools/gdb/cygnet.py in live processes and core files, with what is left of a library by every degree of
stripping, and gdb's own unwinding across the switch."""

import os
import re
import shutil
import subprocess

import pytest

GDB = shutil.which("gdb")
HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = ["debug", "strip-g", "strip-s", "static", "static-strip-g"]
# From cygrt_entry upwards. What stands above these frames is the library's and changes; what stands below is garbage.
LEAVING = ("cygrt_leave_to", "cygrt_leave")  # calls the switch; which of them is inline is the compiler's affair
CHAINS = {
    1: ["wait_inner", "work", "run_main", "run_call", "cygrt_goroutine_main", "cygrt_entry"],
    2: ["sleep_inner", "sleep_middle", "sleeper", "cygrt_goroutine_main", "cygrt_entry"],
    3: ["read_inner", "reader", "cygrt_goroutine_main", "cygrt_entry"],
    4: ["lock_inner", "locker", "cygrt_goroutine_main", "cygrt_entry"],
    6: ["blocking_inner", "cyg_blocking", "blocker", "cygrt_goroutine_main", "cygrt_entry"],
    7: ["all_are_parked", "runner", "cygrt_goroutine_main", "cygrt_entry"],
    8: ["cygrt_entry"],
}
STATES = {
    1: "parked waitgroup", 2: "parked sleep", 3: "parked read fd", 4: "parked mutex", 5: "parked sleep",
    6: "blocking (thread", 7: "running (thread", 8: "runnable",
}

pytestmark = pytest.mark.skipif(not GDB, reason="no gdb")


class Program:
    """tests/gdb/NAME.c, linked with one form of the library."""

    def __init__(self, root, build, folder, library, name="parked"):
        self.path = folder / name
        self.env = {**os.environ, "CYGNET_MAXPROCS": "1", "LD_LIBRARY_PATH": str(folder), "DEBUGINFOD_URLS": ""}
        self.env.pop("CYGNET_DEBUG", None)
        command = ["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer", f"-I{root}/include",
                   f"{HERE}/{name}.c", "-o", self.path]
        if library.startswith("static"):
            archive = folder / "libcygnet.a"
            shutil.copy(build / "src/libcygnet.a", archive)
            command += [archive, "-lm", "-ldl", "-pthread"]
        else:
            archive = folder / "libcygnet.so.0.1"
            shutil.copy(os.path.realpath(build / "src/libcygnet.so"), archive)
            command += [archive]
        if "strip" in library:
            subprocess.run(["strip", "-g" if library.endswith("-g") else "-s", archive], check=True)
        subprocess.run(command, check=True, timeout=120)


def gdb(program, *commands, args=(), env=None):
    """What gdb printed for these commands; "== N" stands before the output of command N."""
    line = [getattr(program, "gdb", GDB), "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off", "-ex", "set width 0",
            "-ex", "set pagination off", "-ex", f"source {script()}"]
    for i, command in enumerate(commands):
        line += ["-ex", f"echo \\n== {i}\\n", "-ex", command]
    done = subprocess.run([*line, program.path, *map(str, args)], env={**program.env, **(env or {})}, cwd=program.path.parent,
                          capture_output=True, text=True, timeout=120)
    return Output(done.stdout, done.stderr)


def script():
    return os.path.join(HERE, "..", "..", "tools", "gdb", "cygnet.py")


class Output:
    def __init__(self, stdout, stderr):
        self.all = stdout + "\n---- stderr\n" + stderr
        parts = re.split(r"^== (\d+)\n", stdout, flags=re.M)
        self.parts = {int(parts[i]): parts[i + 1] for i in range(1, len(parts), 2)}

    def __getitem__(self, i):
        return self.parts.get(i, self.all)


def frames(text):
    """[(level, function)] of a backtrace."""
    return [(int(n), f) for n, f in re.findall(r"^#(\d+) +(?:0x[0-9a-f]+ in )?(<[^>]*>|[^ (]+)", text, re.M)]


def backtraces(text):
    """{goroutine: frames} of `goroutine all bt`."""
    parts = re.split(r"^Goroutine (\d+) .*$", text, flags=re.M)
    return {int(parts[i]): frames(parts[i + 1]) for i in range(1, len(parts), 2)}


def rows(text):
    return {int(m.group(1)): re.sub(r" {2,}", " ", m.group(2)) for m in re.finditer(r"^[* ] +(\d+) +(\S.*)$", text, re.M)}


def hides_statics(library):
    """Names of the library's hidden and static functions are gone when its symbol table is."""
    return library == "strip-s"


def check_list(text, runner="all_are_parked"):
    """Once the runner computes, its P may be taken from it, and the one that had not begun may begin."""
    assert re.search(r"^8 goroutines, 1 idle connections, [23] threads for goroutines$", text, re.M), text
    listed = rows(text)
    assert sorted(listed) == list(range(1, 9)), text
    for number, state in STATES.items():
        if number != 8 or runner == "all_are_parked":
            assert listed[number].startswith(state), text
    assert "sleepy" in listed[2] and "main" in listed[1], text
    for number in (2, 3, 4, 5, 6, 7, 8):
        assert re.search(r"parked\.c:\d+ ", listed[number]), text
    functions = {1: "wait_inner", 2: "sleep_inner", 3: "read_inner", 4: "lock_inner", 6: "blocking_inner", 7: runner}
    for number, function in functions.items():
        assert f" {function}" in listed[number], text
    if runner == "all_are_parked":
        assert " not_begun (not begun)" in listed[8], text


def check_chains(text, library, runner="all_are_parked"):
    found = backtraces(text)
    assert sorted(found) == list(range(1, 9)), text
    for number, chain in {**CHAINS, 7: [runner, *CHAINS[7][1:]]}.items():
        levels, names = zip(*found[number])
        assert list(levels) == list(range(len(levels))), text
        if names[0].startswith("<"):
            assert number not in (6, 7), text
            assert hides_statics(library) or number == 8 or names[1] in LEAVING, text
        if hides_statics(library):  # the library's own names are gone from both; those of the program must be there
            chain, names = ([f for f in these if f in CHAIN_NAMES] for these in (chain, names))
        assert list(names)[len(names) - len(chain) :] == chain, (number, text)
    assert "corrupt" not in text and "Cannot access memory" not in text, text


CHAIN_NAMES = {f for chain in CHAINS.values() for f in chain if not f.startswith("cygrt_") and f not in ("run_call", "run_main")} | {"compute"}


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request):
    return request.param


@pytest.fixture(scope="module")
def program(root, build, tmp_path_factory, library):
    return Program(root, build, tmp_path_factory.mktemp(library), library)


@pytest.fixture(scope="module")
def session(program):
    """One look at the live process, stopped where all are parked, which also writes core files."""
    return gdb(program, "break all_are_parked", "run", "info goroutines", "goroutine all bt", "cygnet gcore live.core", "kill")


def from_core(program, core, *commands):
    return gdb(program, *commands, args=[core])


def test_list_of_a_live_process(session):
    check_list(session[2])


def test_backtraces_of_a_live_process(session, library):
    check_chains(session[3], library)


def test_list_and_backtraces_of_a_core_file(session, program, library):
    out = from_core(program, "live.core", "info goroutines", "goroutine all bt")
    check_list(out[0])
    check_chains(out[1], library)
    assert ">=" in out[0], "ages in a core file are lower bounds"


@pytest.fixture(scope="module")
def plain(root, build, tmp_path_factory):
    return Program(root, build, tmp_path_factory.mktemp("plain"), "debug")


@pytest.fixture(scope="module")
def core(plain):
    gdb(plain, "break all_are_parked", "run", "cygnet gcore one.core", "kill")
    return "one.core"


def test_core_by_plain_gcore_without_guard_advice(plain):
    """With guards by mprotect each stack is a mapping of its own, and gdb's own gcore is whole."""
    out = gdb(plain, "break all_are_parked", "run", "generate-core-file guards.core", "kill", env={"CYGNET_DEBUG": "noguard"})
    out = from_core(plain, "guards.core", "info goroutines", "goroutine all bt")
    check_list(out[0])
    check_chains(out[1], "debug")


def test_core_by_the_kernel(plain, tmp_path):
    with open("/proc/sys/kernel/core_pattern") as f:
        pattern = f.read().strip()
    if "/" in pattern or pattern.startswith("|") or "%" in pattern:
        pytest.skip(f"core files go elsewhere here: {pattern}")
    import resource
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard == 0:
        pytest.skip("core files are forbidden by a resource limit")
    process = subprocess.Popen([plain.path], env=plain.env, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(6)
    process.wait(timeout=60)
    cores = list(tmp_path.glob("core*"))
    if not cores:
        pytest.skip("the kernel wrote no core file")
    out = from_core(plain, cores[0], "info goroutines", "goroutine all bt")
    check_list(out[0], runner="compute")
    check_chains(out[1], "debug", runner="compute")


def test_attaching(plain):
    process = subprocess.Popen([plain.path], env=plain.env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        out = gdb(plain, f"attach {process.pid}", "info goroutines", "goroutine all bt", "detach")
        if "ptrace: Operation not permitted" in out.all:
            pytest.skip("attaching is not permitted here")
        check_list(out[1], runner="compute")
        check_chains(out[2], "debug", runner="compute")
        assert process.poll() is None, "looking changed nothing"
    finally:
        process.kill()
        process.wait()


def test_equal_goroutines_are_folded(plain, core):
    text = from_core(plain, core, "info goroutines -fold")[0]
    folded = re.findall(r"^(\d+) +(\S+) +(.*)$", text, re.M)
    assert [r for r in folded if r[0] == "2" and "sleep_inner" in r[2]], text
    assert sum(int(r[0]) for r in folded if r[1] != "goroutines,") == 8, text


def test_limit_says_what_it_left_out(plain, core):
    text = from_core(plain, core, "info goroutines -n 3")[0]
    assert sorted(rows(text)) == [1, 2, 3] and "and 5 lines more" in text


def test_switching_there_and_back(plain, core):
    """Frames, locals and arguments are the goroutine's after `goroutine N`, and the thread's after `goroutine off`."""
    out = from_core(plain, core, "goroutine 2", "frame", "up", "info frame", "up", "print *(int *)arg", "down", "down", "down",
                    "goroutine", "goroutine 3 bt", "frame function sleep_middle", "frame", "goroutine off", "bt", "goroutine")
    assert "sleep_inner" in out[0] and "sleep_inner" in out[1], out.all
    assert "sleep_middle" in out[2] and "caller of frame at" in out[3], out.all
    assert "sleeper" in out[4] and "= 3600000" in out[5], out.all
    assert "sleep_middle" in out[6] and "sleep_inner" in out[7] and "cyg_sleep" in out[8], out.all
    assert "Goroutine 2 (parked, sleep" in out[9], out.all
    assert "read_inner" in out[10], out.all
    assert "sleep_middle" in out[12], "one command elsewhere leaves the selection where it was: " + out.all
    assert "all_are_parked" in out[13] and frames(out[14])[0] == (0, "all_are_parked"), out.all
    assert "Goroutine 7 (running)" in out[15], out.all


def test_running_goroutine_is_reached_by_its_thread(plain, core):
    out = from_core(plain, core, "goroutine 6", "print *(int *)arg", "thread", "goroutine 7", "thread", "goroutine")
    assert "blocking_inner" in out[0] and "= " in out[1], out.all
    assert "all_are_parked" in out[3] and "Goroutine 7" in out[5], out.all
    assert out[2].split()[:4] != out[4].split()[:4], out.all


def test_letting_it_run_ends_the_selection(plain):
    out = gdb(plain, "break all_are_parked", "run", "goroutine 2", "tbreak compute", "continue", "bt", "kill")
    assert frames(out[5])[:2] == [(0, "compute"), (1, "runner")], out.all


def test_overflowed_stack_belongs_to_its_goroutine(plain):
    """The stack pointer is in the guard page, and later, in the handler, on the thread's alternate stack."""
    out = gdb(plain, "set args overflow", "break all_are_parked", "run", "continue", "goroutine", "goroutine 7 bt -4", "break on_fault",
              "continue", "goroutine", "info goroutines", "goroutine 7 bt -4", "kill")
    assert "SIGSEGV" in out[3] and "on_fault" in out[7], out.all
    for asked, walked in ((4, 5), (8, 10)):
        assert "Goroutine 7 (running)" in out[asked], out.all
        names = [f for _, f in frames(out[walked])]
        assert names == ["overflow", "runner", "cygrt_goroutine_main", "cygrt_entry"], out.all
    assert re.search(r"7 +running \(thread \d+\) .* overflow \(\)", out[9]), out.all


def test_numbers_that_are_not_there(plain, core):
    out = from_core(plain, core, "goroutine 99")
    assert "there is no goroutine 99" in out.all
    out = from_core(plain, core, "goroutine nobody bt")
    assert "no goroutine is called nobody" in out.all


def test_program_without_the_library(tmp_path, plain):
    source = tmp_path / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    other = Program.__new__(Program)
    other.path, other.env = tmp_path / "empty", plain.env
    subprocess.run(["gcc", "-g", source, "-o", other.path], check=True)
    out = gdb(other, "break main", "run", "info goroutines", "kill")
    assert "no libcygnet here" in out.all
    assert "Traceback" not in out.all


def test_newer_table_is_refused(plain, core):
    out = gdb(plain, "break all_are_parked", "run", "set *(unsigned *)((char *)&cyg_debug_table + 8) = 99", "info goroutines", "kill")
    assert "reads version 1 of the library's table, the library has 99" in out.all
