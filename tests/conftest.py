"""What every Python test may ask for: where the sources and the build are, and the compilers that are there.

CYGNET_BUILD names the build directory (default: build/ at the top).
"""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPILERS = [c for c in ("gcc", "clang") if shutil.which(c)]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def build():
    path = Path(os.environ.get("CYGNET_BUILD", ROOT / "build")).resolve()
    assert (path / "build.ninja").exists(), f"{path} is not built; run make"
    return path


def pytest_generate_tests(metafunc):
    if "compiler" in metafunc.fixturenames:
        metafunc.parametrize("compiler", COMPILERS)
