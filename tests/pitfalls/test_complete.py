"""Each pitfall is whole: its directory, page, test, row in the table of symptoms, and each form's program and sentence."""

import re

import pytest

from pitfalls import ROOT, run

NAMES = run.names()
INDEX = (ROOT / "docs/pitfalls/README.md").read_text()
PARTS = ["## What happens", "## Run it", "## What Cygnet does", "## How to see it in a running program", "## What it costs"]
WORDS_IN_TWO_MINUTES = 500


def test_directories_are_numbered_and_described():
    directories = sorted(p.name for p in (ROOT / "examples/pitfalls").iterdir() if p.is_dir() and p.name != "__pycache__")
    assert directories == NAMES
    assert all(re.fullmatch(r"\d\d(-[a-z0-9]+)+", name) for name in NAMES)
    numbers = [name[:2] for name in NAMES]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("name", NAMES)
def test_page_has_its_parts_in_order_and_is_short(name):
    page = (ROOT / "docs/pitfalls" / f"{name}.md").read_text()
    assert re.match(rf"# {int(name[:2])}\. ", page)
    assert [line for line in page.splitlines() if line.startswith("## ")] == PARTS
    assert f"examples/pitfalls/run.py {name}" in page
    prose = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    assert len(prose.split()) <= WORDS_IN_TWO_MINUTES


@pytest.mark.parametrize("name", NAMES)
def test_row_in_the_table_of_symptoms(name):
    assert re.search(rf"^\|[^|]+\| \[{int(name[:2])}\. [^|]+\]\({name}\.md\) \|[^|]+\|$", INDEX, re.M)


@pytest.mark.parametrize("name", NAMES)
def test_guard_has_a_test_and_programs_are_built(name):
    tests = (ROOT / "tests/pitfalls" / f"test_{name.replace('-', '_')}.py").read_text()
    assert f'"{name}"' in tests and "def test_" in tests
    assert f"'{name}'" in (ROOT / "examples/pitfalls/meson.build").read_text()
    assert (ROOT / "examples/pitfalls" / name / "cygnet.c").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_description_shows_a_failure_and_the_guard(name):
    described = run.describe(name)
    forms = [f["name"] for f in described["form"]]
    assert len(forms) >= 2 and any(f.startswith("Cygnet") for f in forms) and not all(f.startswith("Cygnet") for f in forms)
    assert described["title"] and described["look"]
    for look in described["look"]:
        assert look["key"] and look["say"].endswith("."), look


def test_metrics_that_pages_name_exist():
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
    named = set()
    for page in (ROOT / "docs/pitfalls").glob("*.md"):
        named |= set(re.findall(r"\bcygnet_[a-z0-9_]+", page.read_text()))
    assert named and sorted(m for m in named if not re.search(rf'"{m}[ "{{]', source)) == []
