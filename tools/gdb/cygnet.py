"""Goroutines in gdb, for programs that use libcygnet: in live processes and in core files, with or without debug information.

    (gdb) source cygnet.py
    (gdb) info goroutines [-fold] [-n LIMIT]    all of them, or one line per place where some are
    (gdb) goroutine N                           go to goroutine N: bt, up, down, frame, print, info locals see its frames
    (gdb) goroutine N COMMAND                   run one command there and come back
    (gdb) goroutine all COMMAND                 the same for each
    (gdb) goroutine off                         back to the thread
    (gdb) cygnet gcore FILE                     a core file of a live process that has the goroutines' stacks in it

How it works: the library exports a table (src/runtime/debug_table.c) with the offsets of what is read here. A goroutine that
runs is shown by its thread. One that does not has left its registers on its stack; nothing is written into the process.
Instead an unwinder claims frame 0 of the selected thread and says that its caller's registers are the saved ones: frame 1 and
all above it are the goroutine's, and gdb unwinds them as any others. docs/internals/debugging.md has the reasons.
"""

import bisect
import os
import re
import struct
import time

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder, register_unwinder

VERSION = 1
WORD = 8
FRAMES_MAX = 64
SYSTEM_LIBRARIES = ("libc.so", "libc-", "libpthread", "ld-linux", "linux-vdso", "libm.so")
# Directories beside the library's own layers whose code is a program on top of it.
NOT_THE_LIBRARY = ("gateway/", "cmd/")
PREFIXES = ("cyg_", "cygrt_")


def read(addr, n):
    return bytes(gdb.selected_inferior().read_memory(addr, n))


def read_word(addr):
    return struct.unpack("<Q", read(addr, WORD))[0]


def read_string(addr, limit=512):
    """The C string there; None for NULL or memory that cannot be read."""
    if not addr:
        return None
    got = b""
    try:
        while len(got) < limit and b"\0" not in got:
            step = 64 - addr % 64  # never across a page that may not be there
            got += read(addr, step)
            addr += step
    except gdb.MemoryError:
        if not got:
            return None
    return got.split(b"\0")[0].decode("utf-8", "replace")


# ---- the table ------------------------------------------------------------------------------------------------------


class Table:
    """What the library says of itself."""

    def __init__(self):
        try:
            self.addr = int(gdb.parse_and_eval("(unsigned long) &cyg_debug_table"))
        except gdb.error:
            raise gdb.GdbError("no libcygnet here: there is no symbol cyg_debug_table (not started yet, or an older library)")
        magic, version, size = struct.unpack("<8sII", read(self.addr, 16))
        if magic != b"cygnetdb":
            raise gdb.GdbError("cyg_debug_table at 0x%x is damaged, or a core file lacks its library's file" % self.addr)
        if version != VERSION:
            raise gdb.GdbError("this script reads version %d of the library's table, the library has %d" % (VERSION, version))
        raw = read(self.addr, size)
        fields = struct.unpack_from("<7Q2I", raw, 16)
        self.arenas, self.narenas, self.sched, reasons, self.entry, self.main, frame, nreasons, nnumbers = fields
        self.numbers = {}
        for i in range(nnumbers):
            name, value = struct.unpack_from("<28sI", raw, 80 + 32 * i)
            self.numbers[name.split(b"\0")[0].decode()] = value
        self.reasons = [read_string(read_word(reasons + WORD * i)) for i in range(nreasons)]
        self.frame = (read_string(frame) or "").split()
        self.strings = {}  # by address: thousands of goroutines share a few

    def string(self, addr):
        if addr not in self.strings:
            self.strings[addr] = read_string(addr)
        return self.strings[addr]

    def __getitem__(self, name):
        return self.numbers[name]

    def sched_field(self, name, fmt):
        return struct.unpack("<" + fmt, read(self.sched + self["sched." + name], struct.calcsize(fmt)))[0]

    def counts(self):
        """How many idle connections (records left with a poller) and threads there are, and the latest clock reading."""
        ps, nprocs = self.sched_field("ps", "Q"), self.sched_field("nprocs", "I")
        left, now = self.sched_field("n_left", "Q") - self.sched_field("n_taken", "Q"), 0
        for i in range(nprocs if ps else 0):
            p = ps + i * self["p.bytes"]
            left += read_word(p + self["p.n_left"]) - read_word(p + self["p.n_taken"])
            now = max(now, read_word(p + self["p.now"]))
        return max(left, 0), self.sched_field("nms", "I"), now

    def goroutines(self):
        """Every goroutine that has not ended, in the order of its number."""
        found = []
        base, n = read_word(self.arenas), struct.unpack("<I", read(self.narenas, 4))[0]
        for i in range(n):
            raw = read(base + i * self["arena.bytes"], self["arena.bytes"])
            start = struct.unpack_from("<Q", raw, self["arena.base"])[0]
            slots, used, slot = (struct.unpack_from("<I", raw, self["arena." + f])[0] for f in ("slots", "used", "slot_bytes"))
            for k in range(min(slots, used)):
                colour = k * self["slot.colour_mul"] % self["slot.colours"] * self["slot.colour_step"]
                g = Goroutine.at(self, start + (k + 1) * slot - self["slot.g_area"] - colour)
                if g:
                    found.append(g)
        return sorted(found, key=lambda g: g.id)


class Goroutine:
    @staticmethod
    def at(table, addr):
        """The goroutine whose struct is there, or None: a free slot, or memory that a core file does not have."""
        try:
            raw = read(addr, table["g.bytes"])
        except gdb.MemoryError:
            return None
        if struct.unpack_from("<I", raw, table["g.magic"])[0] != table["g.magic_value"]:
            return None
        g = Goroutine(table, addr, raw)
        return None if g.status == table["status.free"] or not g.id else g

    def __init__(self, table, addr, raw):
        def get(field, fmt):
            return struct.unpack_from("<" + fmt, raw, table["g." + field])[0]

        self.table, self.addr = table, addr
        self.id, self.parent, self.sp, self.lo, self.hi = (get(f, "Q") for f in ("id", "parent", "sp", "lo", "hi"))
        self.status, self.reason = get("status", "B"), get("reason", "B")
        self.fn = get("fn", "Q") or get("ready_fn", "Q")
        self.is_record = not get("fn", "Q")
        self.file, self.line = get("file", "Q"), get("line", "i")
        self.name_at, self.wait_obj, self.wait_fd = get("name", "Q"), get("wait_obj", "Q"), get("wait_fd", "i")
        self.wait_since = get("wait_since", "q")
        self.thread = None  # the gdb thread that is on its stack; set by find_threads

    @property
    def name(self):
        return self.table.string(self.name_at) or ""

    def state(self):
        """(state, what it waits for)"""
        t = self.table
        reason = t.reasons[self.reason] if self.reason < len(t.reasons) else "?"
        if self.status == t["status.parked"]:
            if self.reason in (t["reason.read"], t["reason.write"]):
                return "parked", "%s fd %d" % (reason, self.wait_fd)
            return "parked", "%s 0x%x" % (reason, self.wait_obj) if self.wait_obj else reason
        if self.reason == t["reason.blocking"]:
            return "blocking", reason
        return "running" if self.thread or self.status == t["status.running"] else "runnable", ""

    def waited(self, now):
        return max(now - self.wait_since, 0) / 1e9 if self.state()[1] else None

    def started(self):
        if self.file:
            return "%s:%d" % (self.table.string(self.file) or "?", self.line)
        return "readiness of a connection" if self.is_record else "?"

    def saved(self):
        """{register: bytes} of a goroutine that is not on a thread, with sp; None if what g.sp points to is no switch frame."""
        names = self.table.frame
        if not self.sp:  # has not begun: a stack is prepared when it does
            regs = {name: bytes(WORD) for name in names}
            regs[PC[arch()]] = struct.pack("<Q", self.table.entry + SKIP[arch()])
            regs[SP[arch()]] = struct.pack("<Q", (self.hi & -16) - 2 * WORD)
            return regs
        if not self.lo <= self.sp <= self.hi - WORD * len(names) or self.sp % WORD:
            return None
        raw = read(self.sp, WORD * len(names))
        regs = {name: raw[i * WORD : (i + 1) * WORD] for i, name in enumerate(names)}
        regs[SP[arch()]] = struct.pack("<Q", self.sp + WORD * len(names))
        return regs

    def chain(self):
        """Return addresses by frame pointers. The library keeps them, so this holds as far as the first frame outside it."""
        regs = self.saved()
        if not regs:
            return []
        pcs = [struct.unpack("<Q", regs[PC[arch()]])[0]]
        if not self.sp:
            return pcs
        fp, last = struct.unpack("<Q", regs[FP[arch()]])[0], self.sp
        page = read(self.sp, min(self.hi - self.sp, 4096))  # most chains are within it
        while last < fp <= self.hi - 2 * WORD and fp % WORD == 0 and len(pcs) < FRAMES_MAX:
            last, at = fp, fp - self.sp
            pair = page[at : at + 2 * WORD] if at + 2 * WORD <= len(page) else read(fp, 2 * WORD)
            fp, pc = struct.unpack("<QQ", pair)
            if not pc:
                break
            pcs.append(pc)
        return pcs


SP = {"x86-64": "rsp", "aarch64": "sp"}
PC = {"x86-64": "rip", "aarch64": "pc"}
FP = {"x86-64": "rbp", "aarch64": "x29"}
SKIP = {"x86-64": 1, "aarch64": 4}  # where the entry is entered: behind a nop, since unwinders look one byte before a return address


def arch():
    name = gdb.selected_inferior().architecture().name()
    for key in SP:
        if key in name:
            return key
    raise gdb.GdbError("cygnet: nothing is known of goroutines on %s" % name)


# ---- threads ------------------------------------------------------------------------------------------------------------


class Here:
    """Remembers thread and frame, and puts them back."""

    def __enter__(self):
        self.thread = gdb.selected_thread()
        try:
            self.frame = gdb.selected_frame()
        except gdb.error:
            self.frame = None
        return self

    def __exit__(self, *exc):
        if self.thread and self.thread.is_valid():
            self.thread.switch()
        if self.frame and self.frame.is_valid():
            self.frame.select()
        return False


def owner_of_thread(owner):
    """The goroutine on whose stack the selected thread is, or was before a signal."""
    frame, in_handler = gdb.newest_frame(), False
    for depth in range(FRAMES_MAX):
        g = owner(int(frame.read_register(SP[arch()])) & (2**64 - 1))
        if g:
            return g
        in_handler = in_handler or frame.type() == gdb.SIGTRAMP_FRAME
        frame = frame.older()
        if not frame or (depth > 16 and not in_handler):
            break
    return None


def find_threads(goroutines):
    """Sets g.thread of those on whose stack a thread is: what a stack pointer says holds in every state, also within a switch.
    A thread in a signal handler is on a stack of its own, and its older frames are looked at."""
    ordered = sorted(goroutines, key=lambda g: g.lo)
    # After an overflow the stack pointer is in the guard.
    los = [g.lo - g.table["slot.guard"] for g in ordered]

    def owner(sp):
        i = bisect.bisect_right(los, sp) - 1
        return ordered[i] if i >= 0 and sp < ordered[i].hi else None

    chosen, UNWINDER.selected = UNWINDER.selected, None
    try:
        with Here():
            for thread in gdb.selected_inferior().threads():
                thread.switch()
                gdb.invalidate_cached_frames()
                try:
                    g = owner_of_thread(owner)
                except gdb.error:  # what cannot be unwound is on no goroutine's stack
                    continue
                if g:
                    g.thread = thread
    finally:
        UNWINDER.selected = chosen
        gdb.invalidate_cached_frames()


# ---- names of places -----------------------------------------------------------------------------------------------------


class Places:
    """Says of an address what function it is in, and whether that is the library's."""

    SYMBOL = re.compile(r"^(.*?)(?: \+ \d+)? in section \S+(?: of (.*))?$")

    def __init__(self, table):
        self.cache = {}
        self.own = gdb.solib_name(table.main)
        self.shared = bool(self.own) and os.path.basename(self.own).startswith("libcygnet")
        sal = gdb.find_pc_line(table.main)
        name = sal.symtab.fullname() if sal.symtab else ""
        at = name.rfind("/runtime/")
        self.root = name[: at + 1] if at >= 0 else None

    def of(self, pc):
        """(function, "file:line" or "", whether it is the library's) of the code before pc, a return address."""
        got = self.cache.get(pc)
        if not got:
            got = self.cache[pc] = self._of(pc - 1)
        return got

    def _of(self, pc):
        sal = gdb.find_pc_line(pc)
        full = sal.symtab.fullname() if sal.symtab else ""
        where = "%s:%d" % (os.path.basename(full), sal.line) if full else ""
        names = []
        block = gdb.block_for_pc(pc)
        while block and not block.is_static and not block.is_global:
            if block.function:
                names.append(block.function.name)
            block = block.superblock
        if not names:
            m = self.SYMBOL.match(gdb.execute("info symbol 0x%x" % pc, to_string=True).strip())
            return self._judged(pc, m.group(1) if m else "0x%x" % pc, where, full)
        for function in names:  # the innermost first: functions of our headers are inlined into the program's
            if not function.startswith(PREFIXES):
                return self._judged(pc, function, where if function == names[0] else "", full)
        return names[0], where, True

    def _judged(self, pc, function, where, full):
        return function, where, self._is_library(pc, function, full)

    def _is_library(self, pc, function, full):
        """None: linked in statically, and nothing says whose it is: perhaps a static function of the library."""
        if function.startswith(PREFIXES):
            return True
        if self.shared:
            return gdb.solib_name(pc) == self.own
        if not full:
            return None
        return bool(self.root) and full.startswith(self.root) and not full[len(self.root) :].startswith(NOT_THE_LIBRARY)

    def of_frame(self, frame):
        """The same of a frame, which knows what was inlined."""
        pc = frame.pc() - (0 if frame.level() == 0 else 1)
        symtab = frame.find_sal().symtab
        full, line = (symtab.fullname(), frame.find_sal().line) if symtab else ("", 0)
        function = frame.name() or "0x%x" % frame.pc()
        return function, "%s:%d" % (os.path.basename(full), line) if full else "", self._is_library(pc, function, full)

    def top(self, g):
        """(function, line) where goroutine g is: its newest frame outside the library, else the function it began with."""
        if g.thread:
            return self._top_of_thread(g.thread)
        pcs = g.chain()
        if len(pcs) == 1:  # has not run yet
            return "%s (not begun)" % self.of(g.fn + 1)[0], ""
        perhaps = None
        for pc in pcs:
            function, where, own = self.of(pc)
            if own is False:
                return function, where
            if own is None and not perhaps:
                perhaps = function, where
        return perhaps or (self.of(g.fn + 1)[0], "")

    def outside(self, frame):
        """The newest frame from this one on that is neither the library's nor the system's; else this one."""
        first, perhaps = frame, None
        for _ in range(FRAMES_MAX):
            if not frame:
                break
            own = self.of_frame(frame)[2]
            if own is False and not os.path.basename(gdb.solib_name(frame.pc()) or "").startswith(SYSTEM_LIBRARIES):
                return frame
            if own is None:
                perhaps = perhaps or frame
            frame = frame.older()
        return perhaps or first

    def _top_of_thread(self, thread):
        chosen, UNWINDER.selected = UNWINDER.selected, None
        try:
            with Here():
                thread.switch()
                gdb.invalidate_cached_frames()
                return self.of_frame(self.outside(gdb.newest_frame()))[:2]
        finally:
            UNWINDER.selected = chosen
            gdb.invalidate_cached_frames()


# ---- the unwinder ---------------------------------------------------------------------------------------------------------


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Selected:
    """A goroutine to which a thread's frame 0 leads."""

    def __init__(self, g, regs, thread, sp):
        self.id, self.state, self.regs, self.thread, self.thread_sp = g.id, g.state()[0], regs, thread.ptid, sp
        self.sp = g.sp or g.lo
        self.pc = struct.unpack("<Q", regs[PC[arch()]])[0]


class GoroutineUnwinder(Unwinder):
    def __init__(self):
        super().__init__("cygnet goroutine")
        self.selected = None

    def __call__(self, pending):
        s = self.selected
        if not s or gdb.selected_thread() is None or gdb.selected_thread().ptid != s.thread:
            return None
        # Only the thread's own frame 0 has this stack pointer: all others are on the goroutine's stack.
        if int(pending.read_register(SP[arch()])) & (2**64 - 1) != s.thread_sp:
            return None
        info = pending.create_unwind_info(FrameId(gdb.Value(s.sp), gdb.Value(s.pc)))
        for name, raw in s.regs.items():
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(raw.ljust(kind.sizeof, b"\0"), kind))
        return info


class SwitchFrame(FrameDecorator):
    """Frame 0 in a backtrace of a selected goroutine: the switch it waits in, not where its thread is."""

    def __init__(self, base, text):
        super().__init__(base)
        self.text = text

    def function(self):
        return self.text

    def address(self):
        return None

    def filename(self):
        return None

    def line(self):
        return None

    def frame_args(self):
        return None

    def frame_locals(self):
        return None


class GoroutineFilter:
    """Replaces frame 0 in backtraces while a goroutine is selected."""

    def __init__(self):
        self.name, self.priority, self.enabled = "cygnet goroutine", 1000, False
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        s = UNWINDER.selected
        for i, frame in enumerate(frames):
            here = s and i == 0 and gdb.selected_thread().ptid == s.thread and frame.inferior_frame().level() == 0
            yield SwitchFrame(frame, "<goroutine %d is %s>" % (s.id, s.state)) if here else frame


UNWINDER = GoroutineUnwinder()
FILTER = GoroutineFilter()
register_unwinder(None, UNWINDER, True)


def deselect(*_):
    """Frames are the thread's again: when asked to, and when the process runs on."""
    if UNWINDER.selected:
        UNWINDER.selected, FILTER.enabled = None, False
        gdb.invalidate_cached_frames()


gdb.events.cont.connect(deselect)
gdb.events.exited.connect(deselect)


def select(g, places):
    """Makes g's frames those that commands see, and selects its newest frame outside the library."""
    deselect()
    if g.thread:
        g.thread.switch()
        places.outside(gdb.newest_frame()).select()
        return
    regs = g.saved()
    if not regs:
        raise gdb.GdbError("goroutine %d is on no thread and has no saved registers" % g.id)
    thread = gdb.selected_thread()
    if not thread:
        raise gdb.GdbError("no thread is selected")
    if g.status == g.table["status.running"]:
        gdb.write("Goroutine %d is about to run or its thread cannot be told: its frames may be old.\n" % g.id)
    gdb.newest_frame().select()
    sp = int(gdb.newest_frame().read_register(SP[arch()])) & (2**64 - 1)
    UNWINDER.selected, FILTER.enabled = Selected(g, regs, thread, sp), True
    gdb.invalidate_cached_frames()
    places.outside(gdb.newest_frame().older()).select()


# ---- commands -------------------------------------------------------------------------------------------------------------


def live():
    """Whether the process runs on this machine, so that its monotonic clock is ours."""
    connection = getattr(gdb.selected_inferior(), "connection", None)
    return connection is not None and connection.type == "native"


def survey():
    """(table, goroutines with their threads, idle connections, threads, clock, whether the clock is only a lower bound)"""
    if not gdb.selected_inferior().threads():
        raise gdb.GdbError("no process and no core file")
    table = Table()
    goroutines = table.goroutines()
    find_threads(goroutines)
    idle, threads, now = table.counts()
    bound = not live()
    if bound:
        now = max([now] + [g.wait_since for g in goroutines])
    else:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return table, goroutines, idle, threads, now, bound


def seconds(s, bound):
    if s is None:
        return ""
    text = "%.1f s" % s if s < 100 else "%d s" % s if s < 6000 else "%.1f h" % (s / 3600)
    return ">= " + text if bound else text


def current(goroutines):
    """The goroutine that commands see: the selected one, or the one that the selected thread runs."""
    s, thread = UNWINDER.selected, gdb.selected_thread()
    for g in goroutines:
        if g.id == s.id if s and thread.ptid == s.thread else g.thread and g.thread.ptid == thread.ptid:
            return g
    return None


def columns(rows):
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in rows) + "\n"


def place_text(place):
    return "%s () at %s" % place if place[1] else place[0]


class InfoGoroutines(gdb.Command):
    """List the goroutines of a program that uses libcygnet.
Usage: info goroutines [-fold] [-n LIMIT]

One line each: number, state, what it waits for and since when, name, where it was started, and its newest frame outside the
library. "*" marks the one that commands see. -fold: one line for all that wait for the same in the same place. In a core file
nobody can ask the clock, so ages are lower bounds."""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        fold, limit = False, None
        argv = gdb.string_to_argv(arg)
        while argv:
            word = argv.pop(0)
            if word == "-fold":
                fold = True
            elif word == "-n" and argv and argv[0].isdigit():
                limit = int(argv.pop(0))
            else:
                raise gdb.GdbError("Usage: info goroutines [-fold] [-n LIMIT]")
        table, goroutines, idle, threads, now, bound = survey()
        gdb.write("%d goroutines, %d idle connections, %d threads for goroutines\n" % (len(goroutines), idle, threads))
        if goroutines:
            places = Places(table)
            if fold:
                rows = self.folded(goroutines, places, now, bound)
                more = len(rows) - 1 - limit if limit is not None else 0
                rows = rows[: limit + 1] if limit is not None else rows
            else:
                shown = goroutines[:limit]
                rows, more = self.rows(shown, current(goroutines), places, now, bound), len(goroutines) - len(shown)
            gdb.write(columns(rows))
            if more > 0:
                gdb.write("and %d lines more\n" % more)

    def rows(self, goroutines, here, places, now, bound):
        rows = [("", "Id", "State", "Waits for", "For", "Name", "Started at", "In")]
        for g in goroutines:
            state, why = g.state()
            if g.thread:
                state += " (thread %d)" % g.thread.num
            rows.append(("*" if here is g else "", str(g.id), state, why, seconds(g.waited(now), bound), g.name, g.started(),
                         place_text(places.top(g))))
        return rows

    def folded(self, goroutines, places, now, bound):
        groups = {}
        for g in goroutines:
            state, why = g.state()
            key = (state, re.sub(r" (fd -?\d+|0x[0-9a-f]+)$", "", why), g.started(), place_text(places.top(g)))
            groups.setdefault(key, []).append(g)
        rows = [("Count", "State", "Waits for", "Longest", "Started at", "In", "First")]
        for key, members in sorted(groups.items(), key=lambda item: -len(item[1])):
            ages = [w for w in (g.waited(now) for g in members) if w is not None]
            longest = seconds(max(ages) if ages else None, bound)
            rows.append((str(len(members)), key[0], key[1], longest, key[2], key[3], str(members[0].id)))
        return rows


class GoroutineCommand(gdb.Command):
    """Go to a goroutine, or run a command as if there.
Usage: goroutine                   which goroutine commands see now
       goroutine N                 go to goroutine N; its newest frame outside the library is selected
       goroutine N COMMAND         run COMMAND there and come back
       goroutine all COMMAND       run COMMAND at each goroutine
       goroutine off               back to where the thread is

A goroutine that runs is reached by switching to its thread. For one that does not, the selected thread's frames are replaced by
the goroutine's, from frame 1 on; frame 0 stands for the switch. Nothing is written to the process. Letting the process run ends
it, so say "goroutine off" before you step."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        word, _, command = arg.strip().partition(" ")
        command = command.strip()
        if word == "off":
            deselect()
            gdb.newest_frame().select()
            gdb.execute("frame", from_tty)
            return
        table, goroutines, _, _, now, bound = survey()
        if not word:
            here = current(goroutines)
            gdb.write(self.title(here, now, bound) if here else "This thread runs no goroutine.\n")
        elif word == "all":
            if not command:
                raise gdb.GdbError("Usage: goroutine all COMMAND")
            self.each(goroutines, table, command, now, bound)
        else:
            self.one(self.find(goroutines, word), Places(table), command, now, bound, from_tty)

    def find(self, goroutines, word):
        try:
            number = int(gdb.parse_and_eval(word))
        except gdb.error:
            raise gdb.GdbError("no goroutine is called %s; \"info goroutines\" lists their numbers" % word)
        for g in goroutines:
            if g.id == number:
                return g
        raise gdb.GdbError("there is no goroutine %d; \"info goroutines\" lists them" % number)

    def title(self, g, now, bound):
        state, why = g.state()
        since = seconds(g.waited(now), bound)
        what = ", ".join(w for w in (state, why, since, g.name and '"%s"' % g.name) if w)
        return "Goroutine %d (%s), started at %s\n" % (g.id, what, g.started())

    def each(self, goroutines, table, command, now, bound):
        places = Places(table)
        for g in goroutines:
            gdb.write("\n" + self.title(g, now, bound))
            try:
                self.one(g, places, command, now, bound, False)
            except gdb.error as e:
                gdb.write("%s\n" % e)

    def one(self, g, places, command, now, bound, from_tty):
        if not command:
            select(g, places)
            gdb.write("[Switching to g" + self.title(g, now, bound)[1:].rstrip("\n") + "]\n")
            gdb.execute("frame", from_tty)
            return
        chosen = UNWINDER.selected
        if chosen:  # frames of the selected goroutine are gone while another is looked at: found again by level
            level = gdb.selected_frame().level()
        UNWINDER.selected = None
        gdb.invalidate_cached_frames()
        try:
            with Here():
                select(g, places)
                gdb.execute(command, from_tty)
                deselect()
        finally:
            deselect()
            if chosen and gdb.selected_thread().ptid == chosen.thread:
                UNWINDER.selected, FILTER.enabled = chosen, True
                gdb.invalidate_cached_frames()
                frame = gdb.newest_frame()
                while frame.level() < level and frame.older():
                    frame = frame.older()
                frame.select()


class CygnetCommand(gdb.Command):
    """Commands for programs that use libcygnet: cygnet goroutines, cygnet gcore."""

    def __init__(self):
        super().__init__("cygnet", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


class CygnetGcore(gdb.Command):
    """Write a core file of the live process, with the stacks of its goroutines.
Usage: cygnet gcore FILE

gdb's own gcore reads memory in large pieces and leaves out all that follows one it cannot read whole; the guard page at the low
end of each goroutine's stack is such a place (Linux 6.13 and later). This runs gcore and then puts the stacks where they belong
in the file. A core file that the kernel writes is whole."""

    def __init__(self):
        super().__init__("cygnet gcore", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        argv = gdb.string_to_argv(arg)
        if len(argv) != 1:
            raise gdb.GdbError("Usage: cygnet gcore FILE")
        table = Table()
        gdb.execute("generate-core-file " + argv[0], from_tty)
        with open(argv[0], "r+b") as f:
            segments = self.segments(f)
            slots = sum(self.arena(f, table, segments, i) for i in range(struct.unpack("<I", read(table.narenas, 4))[0]))
        gdb.write("The stacks of %d goroutines, in use or free, are in it.\n" % slots)

    def segments(self, f):
        """[(address, bytes in the file, offset in the file)] of a 64-bit little-endian core file"""
        ident = f.read(64)
        if ident[:6] != b"\x7fELF\x02\x01":
            raise gdb.GdbError("not a 64-bit little-endian core file")
        at, size, n = struct.unpack_from("<Q", ident, 32)[0], *struct.unpack_from("<HH", ident, 54)
        if n == 0xFFFF:  # too many for the header: the first section header has the number
            f.seek(struct.unpack_from("<Q", ident, 40)[0] + 44)
            n = struct.unpack("<I", f.read(4))[0]
        found = []
        for i in range(n):
            f.seek(at + i * size)
            kind, _, offset, addr, _, filesz = struct.unpack("<IIQQQQ", f.read(40))
            if kind == 1:
                found.append((addr, filesz, offset))
        return found

    def arena(self, f, table, segments, i):
        raw = read(read_word(table.arenas) + i * table["arena.bytes"], table["arena.bytes"])
        base = struct.unpack_from("<Q", raw, table["arena.base"])[0]
        used, slot = (struct.unpack_from("<I", raw, table["arena." + name])[0] for name in ("used", "slot_bytes"))
        for k in range(used):
            lo, hi = base + k * slot + table["slot.guard"], base + (k + 1) * slot
            for addr, size, offset in segments:
                if not addr <= lo or hi > addr + size:
                    continue
                for at in range(lo, hi, 65536):
                    data = read(at, min(65536, hi - at))
                    if data.count(0) != len(data):  # elsewhere the file has zeros already
                        f.seek(offset + at - addr)
                        f.write(data)
        return used


InfoGoroutines("info goroutines")
CygnetCommand()
InfoGoroutines("cygnet goroutines")
CygnetGcore()
GoroutineCommand()
