"""Every public header stands alone, as C11 and as C++17, and the example of each package compiles, links and runs.

CYGNET_SANITIZE=thread (or address,undefined) runs the examples under a sanitizer, with a library built the same way.
"""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADERS = sorted(p.name for p in (ROOT / "include" / "cygnet").glob("*.h"))
EXAMPLES = sorted(HERE.glob("use_*.c"))
LANGUAGES = {"c11": ["-x", "c", "-std=c11", "-Wstrict-prototypes"], "c++17": ["-x", "c++", "-std=c++17"]}
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wvla", "-Werror"]


def compile_(compiler, language, args, stdin=None):
    command = [compiler, *LANGUAGES[language], *WARNINGS, "-I", str(ROOT / "include"), *args]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def test_every_header_has_an_example():
    without = {"cygnet.h"}  # includes the others
    assert {f"use_{h[:-2]}.c" for h in HEADERS if h not in without} == {p.name for p in EXAMPLES}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(compiler, language, header):
    # Twice: the guard holds. A declaration behind it, so that the unit isn't empty.
    text = f"#include <cygnet/{header}>\n#include <cygnet/{header}>\nextern int nothing;\n"
    compile_(compiler, language, ["-fsyntax-only", "-"], text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_example_compiles(compiler, language, example):
    compile_(compiler, language, ["-fsyntax-only", str(example)])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(build, language, example, tmp_path):
    library = build / "src"
    program = tmp_path / example.stem
    link = ["-x", "none", "-L", str(library), "-lcygnet", f"-Wl,-rpath,{library}", "-pthread"]
    sanitize = os.environ.get("CYGNET_SANITIZE", "")
    if sanitize:
        link += [f"-fsanitize={sanitize}"]
    compiler = "clang" if sanitize == "thread" else "gcc"
    if language == "c++17":
        compiler = {"gcc": "g++", "clang": "clang++"}[compiler]
    compile_(compiler, language, ["-g", "-O1", "-o", str(program), str(example), *link])
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}{done.stderr}"
