"""Runs inside gdb: steps through cygrt_switch, instruction by instruction, and notes the functions of the backtrace at each.
Prints one line of JSON: a list of switches, each a list of [text of the instruction, functions from frame 0 up]."""

import json

import gdb

SWITCHES = 60


def functions():
    found, frame = [], gdb.newest_frame()
    while frame and len(found) < 64:
        found.append(frame.name() or "??")
        frame = frame.older()
    return found


def instruction():
    pc = gdb.newest_frame().pc()
    return gdb.selected_frame().architecture().disassemble(pc)[0]["asm"]


def one_switch():
    steps = []
    while gdb.newest_frame().name() == "cygrt_switch":
        steps.append([instruction(), functions()])
        gdb.execute("stepi", to_string=True)
    steps.append([instruction(), functions()])
    return steps


gdb.execute("break main", to_string=True)
remote = gdb.convenience_variable("remote")  # a gdbserver's address: an emulator
gdb.execute("target remote " + remote.string() if remote else "run", to_string=True)
if remote:
    gdb.execute("continue", to_string=True)
gdb.execute("break *cygrt_switch", to_string=True)
gdb.execute("continue", to_string=True)
gdb.execute("set scheduler-locking step")
switches = []
for _ in range(SWITCHES):
    # Stepping takes longer than a P may go without a look at its poller; without this every switch would be to the scheduler.
    gdb.execute("set variable cygrt_sched.ps[0].poll_due = 0x7fffffffffffffff")
    switches.append(one_switch())
    gdb.execute("continue", to_string=True)
gdb.execute("kill", to_string=True)
print("STEPS " + json.dumps(switches))
