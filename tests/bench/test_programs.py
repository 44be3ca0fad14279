"""The programs of bench/ that use the library compile and link against it, so that a benchmark is there when somebody wants it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import tools  # noqa: E402

PROGRAMS = ["pool/requests.c", "pool/waits.c", "hostage/echo.c", "million.c"]
PRIMITIVES = ["primitives/cyg.c", "primitives/cyg_chan.c", "primitives/cyg_timer.c"]


@pytest.mark.parametrize("sources", [*([p] for p in PROGRAMS), PRIMITIVES], ids=lambda s: s[0])
def test_it_links(sources, build, tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "BUILT", str(tmp_path))
    program = tools.build_cygnet(sources, str(build), "program")
    assert program.startswith(str(tmp_path))


def test_all_of_them_are_here(root):
    using = {str(p.relative_to(root / "bench")) for p in (root / "bench").rglob("*.c") if "<cygnet/" in p.read_text()}
    named = {*PROGRAMS, *PRIMITIVES, "micro/access_log.c", "micro/file_ways.c", "micro/http1_parse.c", "micro/metrics.c"}
    assert using <= named, using - named
