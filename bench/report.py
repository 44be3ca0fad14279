"""From samples to medians, ratios and a table.

Ratios are made inside a round (candidate over floor, minutes apart at most) and the median of the rounds' ratios is shown: a
machine that was slower in one round slows both. Spread is half of what lies between the extreme rounds, over the median."""

import statistics

SATURATED = 0.95     # of its CPU: below, the load or the upstream was the bottleneck
DISTURBED = 0.03     # of its CPU: above, other programs took part in the measurement
FIGURES = ("cpu_us", "rps", "p50_us", "p99_us", "utilisation", "switches", "rss_mib", "others", "cpu_us_by_ticks")


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def short(value):
    return None if value is None else float(f"{value:.5g}")


def summarise(samples, floor, counted):
    """{name: samples} -> [one dict a candidate], the floor first. counted: system calls by candidate."""
    rows = []
    for name, own in samples.items():
        row = {"name": name, **{f: short(median(s[f] for s in own)) for f in FIGURES}}
        for figure in ("cpu_us", "rps"):
            row[f"{figure}_ratio"] = short(median(s[figure] / f[figure] for s, f in zip(own, samples[floor])))
            row[f"{figure}_spread"] = short((max(s[figure] for s in own) - min(s[figure] for s in own)) / 2 / row[figure])
            row[f"{figure}_rounds"] = [short(s[figure]) for s in own]
        row["errors"] = sum(s["errors"] for s in own)
        row["requests"] = sum(s["requests"] for s in own)
        row["unlogged"] = sum(s.get("unlogged", 0) for s in own)
        row["syscalls"] = counted.get(name)
        rows.append(row)
    return rows


def _notes(row, two):
    notes = []
    if row["utilisation"] < SATURATED and not two:
        notes.append("not saturated")
    if (row["others"] or 0) > DISTURBED:
        notes.append(f"disturbed ({row['others']:.0%})")
    if abs(row["cpu_us_by_ticks"] / row["cpu_us"] - 1) > 0.05:
        notes.append(f"clock ticks say {row['cpu_us_by_ticks']:.2f} us")
    if row["errors"]:
        notes.append(f"{row['errors']} errors")
    if row["unlogged"]:
        notes.append(f"{row['unlogged'] / row['requests']:.1%} of the requests not in its log")
    return ", ".join(notes)


def _number(value, form):
    return "-" if value is None else format(value, form)


COLUMNS = (
    ("candidate", lambda r, two: r["name"]),
    ("cpu us/req", lambda r, two: _number(r["cpu_us"], ".2f")),
    ("+-", lambda r, two: _number(r["cpu_us_spread"], ".0%")),
    ("x floor", lambda r, two: _number(r["cpu_us_ratio"], ".2f")),
    ("req/s", lambda r, two: _number(r["rps"], ",.0f")),
    ("+-", lambda r, two: _number(r["rps_spread"], ".0%")),
    ("x floor", lambda r, two: _number(r["rps_ratio"], ".2f")),
    ("p50 us", lambda r, two: _number(r["p50_us"], ".0f")),
    ("p99 us", lambda r, two: _number(r["p99_us"], ".0f")),
    ("util", lambda r, two: _number(r["utilisation"], ".0%")),
    ("sysc/req", lambda r, two: _number((r["syscalls"] or {}).get("total"), ".2f")),
    ("csw/req", lambda r, two: _number(r["switches"], ".3f")),
    ("RSS MiB", lambda r, two: _number(r["rss_mib"], ".1f")),
    ("notes", _notes),
)


def aligned(rows):
    """Rows of texts -> lines: the first and last column to the left, the others to the right."""
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(width) - 1
    lines = []
    for row in rows:
        cells = [c.ljust(w) if i in (0, last) else c.rjust(w) for i, (c, w) in enumerate(zip(row, width))]
        lines.append("  ".join(cells).rstrip())
    return lines


def _syscall_lines(cell):
    lines = []
    for row in cell["candidates"]:
        if row["syscalls"]:
            named = {n: c for n, c in row["syscalls"].items() if n not in ("by", "total")}
            most = sorted(named.items(), key=lambda item: -item[1])[:6]
            lines.append(f"    {row['name']}: " + ", ".join(f"{n} {c:.2f}" for n, c in most) + f"  (by {row['syscalls']['by']})")
    return ["  system calls a request:"] + lines if lines else []


def table(record):
    machine = record["machine"]
    two = record["mode"] == "two"
    lines = [f"{record['bench']}: {machine['cpu']}, {machine['cpus']} CPUs, Linux {record['kernel']}, {record['congestion_control']}, "
             f"commit {record['commit']}{' + changes' if record['dirty'] else ''}",
             f"medians of {record['rounds']} rounds of {record['seconds']:g} s; " +
             ("not pinned, two threads a server" if two else "server on CPU 0, load on CPU 1")]
    lines += [f"left out: {text}" for text in record["left_out"]]
    shown = set()
    for cell in record["cells"]:
        lines += ["", f"{cell['load']}, {cell['conns']} connections"]
        lines += ["  " + line for line in aligned([[title for title, _ in COLUMNS]] +
                                                    [[value(row, two) for _, value in COLUMNS] for row in cell["candidates"]])]
        if cell["conns"] not in shown:
            shown.add(cell["conns"])
            lines += _syscall_lines(cell)
    return "\n".join(lines)
