"""The models of the runtime's protocols hold, and each fails when a guard is removed; and the runner judges rightly."""

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models"))
import run  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("spin"), reason="no spin")
CASES = [(path, n) for path in run.models() for n in (0, *run.mutants(path))]


@pytest.mark.parametrize("path, mutant", CASES, ids=lambda v: v.stem if isinstance(v, Path) else v or "whole")
def test_model(path, mutant):
    verdict = run.check(path, mutant)
    assert verdict.good, run.line(verdict, run.mutants(path).get(mutant, ""))


def test_every_protocol_has_a_model_with_mutants():
    assert {p.stem: len(run.mutants(p)) for p in run.models() if len(run.mutants(p)) < 2} == {}
    assert len(run.models()) >= 4


def test_every_head_states_an_invariant_and_its_sources():
    for path in run.models():
        head = path.read_text().split("*/")[0]
        assert "Invariant:" in head and "Mirrors:" in head, path.name


LOOP = "/* toy.pml\n%s */\nbyte x;\nactive proctype a() { %s }\n"


def toy(tmp_path, body, head=" * MUTANT_1: none\n"):
    path = tmp_path / "toy.pml"
    path.write_text(LOOP % (head, body))
    return path


def test_runner_sees_a_failed_assertion_and_a_mutant_that_holds(tmp_path):
    path = toy(tmp_path, "\n#ifdef MUTANT_1\nx = 1;\n#endif\nassert(x == 0)\n")
    assert run.check(path).good and run.check(path, 1).good
    path = toy(tmp_path, "\n#ifdef MUTANT_1\nx = 0;\n#endif\nassert(x == 0)\n")
    assert run.check(path).good and not run.check(path, 1).good
    path = toy(tmp_path, "\n#ifdef MUTANT_1\nx = 0;\n#endif\nassert(x == 1)\n")
    assert not run.check(path).good


def test_runner_sees_a_process_that_never_ends(tmp_path):
    verdict = run.check(toy(tmp_path, "x = 1; x == 2 -> skip"))
    assert not verdict.good and "end state" in verdict.what


def test_runner_sees_what_is_never_reached(tmp_path):
    verdict = run.check(toy(tmp_path, "if :: x == 0 -> skip :: x == 1 -> x = 2 fi"))
    assert verdict.errors == 0 and verdict.unreached and not verdict.good


def test_runner_refuses_a_search_that_was_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "DEPTH", 20)
    with pytest.raises(run.ModelError):
        run.check(toy(tmp_path, "do :: x < 200 -> x++ :: x == 200 -> break od"))


def test_runner_refuses_a_mutant_without_a_word(tmp_path):
    with pytest.raises(run.ModelError):
        run.mutants(toy(tmp_path, "\n#ifdef MUTANT_2\nx = 1;\n#endif\nskip\n"))
