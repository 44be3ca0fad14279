"""`cygnet check`: what an operator and a script see of it."""

import subprocess

import pytest

GOOD = """\
version: "2026-11-23.1"
listeners:
  - name: web
    address: ":8080"
    routes: [{ name: orders, match: { path: /orders/* }, cluster: orders }, { name: rest, cluster: shop }]
clusters:
  - { name: orders, endpoints: ["127.0.0.1:9001", "127.0.0.1:9002"] }
  - { name: shop, endpoints: ["127.0.0.1:9003"] }
"""


@pytest.fixture
def check(build, tmp_path):
    def run(*args, text=None, stdin=None):
        if text is not None:
            (tmp_path / "gateway.yaml").write_text(text)
        return subprocess.run([build / "cygnet", "check", *args], cwd=tmp_path, input=stdin, text=True,
                              capture_output=True, timeout=20)

    return run


def test_a_right_file_is_summed_up_in_a_line(check):
    for flag in ("-c", "--config"):
        done = check(flag, "gateway.yaml", text=GOOD)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "gateway.yaml: version 2026-11-23.1: 1 listener, 2 routes, 2 clusters, 3 endpoints: ok\n"


def test_a_document_is_read_from_standard_input(check):
    done = check("-c", "-", stdin=GOOD)
    assert done.returncode == 0
    assert done.stdout.startswith("standard input: version 2026-11-23.1: ")


def test_every_problem_is_a_line_on_standard_error(check):
    text = GOOD.replace("    address", "    adress").replace("cluster: orders }", "cluster: order }")
    done = check("-c", "gateway.yaml", text=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'gateway.yaml:3:5: listeners[0]: key "address" is missing, expected an address such as ":8080", "127.0.0.1:8080" or '
        '"unix:/run/cygnet.sock"',
        'gateway.yaml:4:5: unknown key "adress" in listeners[0]; did you mean "address"?',
        'gateway.yaml:5:67: listeners[0].routes[0].cluster: found "order", expected the name of a cluster; did you mean "orders"?',
        "3 problems",
    ]


def test_problems_beyond_fifty_are_counted(check):
    done = check("-c", "gateway.yaml", text=GOOD + "".join(f"key{i}: 1\n" for i in range(55)))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 51
    assert done.stderr.endswith("\n55 problems (5 of them not shown)\n")


def test_a_file_that_is_not_there_is_a_problem(check):
    done = check("-c", "missing.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("missing.yaml: cannot be read: ")
    assert done.stderr.endswith("\n1 problem\n")


@pytest.mark.parametrize("args", [[], ["-c"], ["--colour"], ["-c", "a.yaml", "b.yaml"]])
def test_a_wrong_call_shows_the_usage(check, args):
    done = check(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: cygnet check -c FILE" in done.stderr


def test_the_reference_page_can_be_written_anew(check, root):
    done = check("--reference")
    assert done.returncode == 0
    assert done.stdout == (root / "docs/reference/config.md").read_text()
