"""docs/internals/behaviours.md: its rows are all there, and every test it names exists and is run."""
"""docs/internals/behaviours.md: the rows that are due are all there, and every test it names exists and is run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/internals/behaviours.md").read_text()
ROWS = {int(n): tests for n, tests in re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", PAGE, re.M)}
NAMED = re.compile(r"`((?:unit|stress)/[\w/]+\.[ch])`(?::((?: `\w+`,?)+))?")
PAIRS = sorted({(path, test) for path, tests in NAMED.findall(PAGE) for test in re.findall(r"`(\w+)`", tests)})


def test_every_row_is_there_and_names_a_test():
    assert sorted(ROWS) == [*range(1, 60)]
    assert [n for n, tests in ROWS.items() if not NAMED.search(tests)] == []


def test_no_name_on_the_page_is_overlooked():
    assert set(re.findall(r"`(test_\w+)`", PAGE)) == {test for _, test in PAIRS if test.startswith("test_")}


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED.findall(PAGE)}))
def test_file_exists_and_is_built(path):
    assert (ROOT / "tests" / path).is_file()
    if path.endswith(".c"):
        assert Path(path).name in (ROOT / "tests" / path).with_name("meson.build").read_text()


@pytest.mark.parametrize("path,test", PAIRS)
def test_named_test_is_run(path, test):
    text = (ROOT / "tests" / path).read_text()
    listed = rf"cmocka_unit_test\({test}\)" if test.startswith("test_") else rf'\{{"{test}", FAIL_'
    assert re.search(listed, text), f"{path} does not run {test}"
