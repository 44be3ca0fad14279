"""The chain of frames across a switch: gdb, at every instruction of it, and perf, by frame pointers and by call frame information,
see a goroutine's frames whole, and nothing below its first one."""

import json
import re
import shutil
import subprocess

import pytest

from test_gdb import GDB, HERE, Program

GOROUTINES = {"work", "yielder", "brief", "starter"}
THREAD = "m_main"    # a thread's first function of ours; below it the C library, whose names need not be installed


@pytest.fixture(scope="module")
def switching(root, build, tmp_path_factory):
    return Program(root, build, tmp_path_factory.mktemp("switching"), "debug", "switching")


@pytest.fixture(scope="module")
def steps(switching):
    if not GDB:
        pytest.skip("no gdb")
    return step_through(GDB, switching)


def step_through(gdb, program, remote=None):
    """What step_switch.py saw of the program, under gdb itself or in an emulator."""
    where = ["-ex", f'set $remote = "{remote}"'] if remote else []
    done = subprocess.run(
        [gdb, "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off", *where, "-x",
         f"{HERE}/step_switch.py", program.path], env=program.env, capture_output=True, text=True, timeout=300)
    line = re.search(r"^STEPS (.*)$", done.stdout, re.M)
    assert line, done.stdout + done.stderr
    return json.loads(line.group(1))


def whose(names):
    """What a chain of functions is: that of a goroutine, or of the scheduler on its thread. None: neither, or not whole."""
    if names[-1] == "cygrt_entry" and names.count("cygrt_entry") == 1:
        mine = [n for n in names if n in GOROUTINES]
        if len(mine) == 1 and names[-2] == "cygrt_goroutine_main":
            return mine[0]
        return "new" if names in (["cygrt_switch", "cygrt_entry"], ["cygrt_entry"]) else \
            "ended" if names[-2] == "cygrt_goroutine_main" and not mine else None
    return "scheduler" if THREAD in names and "cygrt_m_loop" in names else None


def test_gdb_sees_whole_chains_at_every_instruction_of_the_switch(steps):
    check_whole(steps)


def test_gdb_changes_chains_where_the_stack_pointer_changes(steps):
    check_change(steps)


def check_whole(steps):
    assert len(steps) == 60
    for switch in steps:
        assert len(switch) > 10
        for asm, names in switch:
            assert whose(names), (asm, names)
            ours = names[: names.index(THREAD)] if THREAD in names else names
            assert "??" not in ours, (asm, names)


def check_change(steps):
    seen = set()
    for switch in steps:
        at = next(i for i, (asm, _) in enumerate(switch) if re.search(r"mov +%rsi,%rsp|mov\tsp, x1|mov +sp, x1", asm))
        before, after = {whose(names) for _, names in switch[: at + 1]}, {whose(names) for _, names in switch[at + 1 :]}
        assert len(before) == 1 and len(after) == 1, switch
        seen |= {(before.pop(), after.pop())}
    kinds = {(a in GOROUTINES, b in GOROUTINES) for a, b in seen}
    assert (True, True) in kinds, seen
    assert {"new", "ended", "scheduler"} <= {k for pair in seen for k in pair}, seen


@pytest.fixture(scope="module", params=["fp", "dwarf"])
def samples(request, switching, tmp_path_factory):
    """[functions of each sample, the newest first] of a run that does little but switch."""
    perf = shutil.which("perf")
    if not perf:
        pytest.skip("no perf")
    data = tmp_path_factory.mktemp("perf") / "data"
    record = subprocess.run(
        [perf, "record", "-e", "cpu-clock:u", "-F", "997", "--call-graph", request.param, "-o", data, switching.path, "1000000"],
        env=switching.env, capture_output=True, text=True, timeout=120)
    if not data.exists() or re.search(r"not permitted|No permission|Operation not supported|not supported", record.stderr):
        pytest.skip("perf may not record here: " + record.stderr.strip()[:200])
    assert record.returncode == 0, record.stderr
    script = subprocess.run([perf, "script", "-i", data, "-F", "ip,sym"], env=switching.env, capture_output=True, text=True, timeout=300)
    assert script.returncode == 0, script.stderr
    chains = [[re.sub(r"\+0x[0-9a-f]+$", "", line.split(None, 1)[1]) for line in block.splitlines() if len(line.split(None, 1)) == 2]
              for block in script.stdout.split("\n\n")]
    chains = [c for c in chains if c]
    if len(chains) < 100:
        pytest.skip(f"perf took only {len(chains)} samples here")
    return chains


def test_perf_chains_end_at_the_goroutines_entry(samples):
    """Samples that have a goroutine's frames have all of them, and nothing below its first. A function that has not set its frame
    pointer yet hides its caller from perf, so samples within cygrt_goroutine_main itself say nothing; and one at a `ret` hides its
    caller's caller, whose frame pointer gcc's tables say is still on the stack, below what perf has copied."""
    of_goroutines = [c for c in samples if "cygrt_goroutine_main" in c[1:]]
    assert len(of_goroutines) > 0.8 * len(samples), [c for c in samples if c not in of_goroutines][:20]
    whole = [c for c in of_goroutines if c[-1] == "cygrt_entry" and c[-2] == "cygrt_goroutine_main"]
    assert all(c[-1] in ("cygrt_entry", "cygrt_goroutine_main") for c in of_goroutines), "something stands below a goroutine's first frame"
    assert len(whole) >= 0.98 * len(of_goroutines), [c for c in of_goroutines if c not in whole][:20]
    for chain in whole:
        assert len([n for n in chain if n in GOROUTINES]) <= 1, chain


def test_perf_sees_the_callers_of_the_switch(samples):
    """How many of them are whole depends on where in the switch the samples fall: at a push, a pop or a `ret` gcc's tables have perf look
    below the stack pointer, where it has copied nothing. Such a chain is cut short; it does not go on somewhere else."""
    within = [c for c in samples if c[0] in ("cygrt_switch", "cygrt_leave_to", "cygrt_leave")]
    whole = [c for c in within if set(c) & GOROUTINES and c[-1] == "cygrt_entry"]
    assert whole, within[:20]
    assert not [c for c in within if "[unknown]" in c], within
