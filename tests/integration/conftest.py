"""Fixtures: each makes things that the test uses and ends them after it, whatever happened."""
import contextlib
import os
import re
import signal

import pytest

import harness

SANITIZER = re.compile(r"(ERROR|WARNING): [A-Z][A-Za-z]+Sanitizer|runtime error:")
CRASHES = [-s for s in (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)]


def pytest_collection_modifyitems(items):
    if os.path.exists(harness.CYGNET):
        return
    for item in items:
        if "integration" in str(item.fspath):
            item.add_marker(pytest.mark.skip(reason="no binary at " + harness.CYGNET))


@pytest.fixture
def ends():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def gateway(tmp_path, ends, request):
    """gateway(config, …) starts one; its log is shown when the test fails."""

    def start(config, **kw):
        directory = tmp_path / ("gateway%d" % len(os.listdir(tmp_path)))
        directory.mkdir()
        g = harness.Gateway(directory, config, **kw)

        def end():
            if g.process.poll() is None:
                g.process.kill()
                g.process.wait()
            with contextlib.suppress(AssertionError):
                g.log.wait("(?!)", deadline=2)  # to its end
            print("\n".join(["", "gateway's log:"] + g.log.lines[-200:]))
            assert not SANITIZER.search(g.log.text()), "a sanitizer has found something"
            assert g.process.returncode not in CRASHES, "the gateway died of signal %d" % -g.process.returncode

        ends.callback(end)
        return g

    return start


@pytest.fixture
def app(ends):
    """app() starts the Python upstream."""

    def start(port=0):
        a = harness.AppServer(port)
        ends.callback(a.stop)
        return a

    return start


@pytest.fixture
def scripted(ends):
    def start(function):
        s = harness.Scripted(function)
        ends.callback(s.stop)
        return s

    return start


@pytest.fixture
def nginx(tmp_path, ends):
    def start(port=None):
        directory = tmp_path / ("nginx%d" % len(os.listdir(tmp_path)))
        directory.mkdir()
        n = harness.Nginx(directory, port)
        ends.callback(n.stop)
        return n

    return start
