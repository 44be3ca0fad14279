"""The documentation holds: its whole programs compile, its links lead somewhere, its make targets and files exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```c\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PROGRAMS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{n}")
    for page in PAGES
    for n, code in enumerate(BLOCK.findall(page.read_text()), 1)
    if "#include" in code
]


@pytest.mark.parametrize("code", PROGRAMS)
def test_program_compiles(compiler, code):
    command = [compiler, "-std=gnu17", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "-fsyntax-only", "-x", "c", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_there_are_programs():
    assert len(PROGRAMS) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = [t for t in LINK.findall(page.read_text()) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_pages_are_linked_from_an_index():
    linked = set()
    for page in PAGES:
        linked |= {(page.parent / t).resolve() for t in LINK.findall(page.read_text()) if "://" not in t}
    pages = {p.resolve() for p in (ROOT / "docs").rglob("*.md")}
    assert sorted(str(p.relative_to(ROOT)) for p in pages - linked if p != ROOT / "docs" / "README.md") == []


def test_make_targets_exist():
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set()
    for page in PAGES:
        named |= set(re.findall(r"(?:^\$ (?:sudo )?|`)make ([a-z-]+)", page.read_text(), re.M))
    assert named - made == set()
