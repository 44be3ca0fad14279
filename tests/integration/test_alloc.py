"""The running gateway, access log and metrics on, does not allocate for a request. Its allocator calls are counted from
outside, while wrk asks for the same thing over 64 connections."""
import json
import os
import shutil
import struct
import subprocess

import pytest

from harness import Wrk, base_config, sanitized, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def counter(tmp_path):
    """(environment that makes a process count, function that reads the count)"""
    cc = shutil.which("cc")
    if not cc or sanitized():
        pytest.skip("no C compiler" if not cc else "a sanitizer's allocator cannot be counted")
    library, file = tmp_path / "count_alloc.so", tmp_path / "count"
    subprocess.run([cc, "-O2", "-fno-builtin", "-shared", "-fPIC", "-o", str(library), os.path.join(HERE, "count_alloc.c")],
                   check=True)
    file.write_bytes(bytes(8))
    return {"LD_PRELOAD": str(library), "COUNT_ALLOC": str(file)}, lambda: struct.unpack("Q", file.read_bytes())[0]


@pytest.mark.skipif(not shutil.which("wrk"), reason="no wrk")
def test_a_request_through_the_gateway_allocates_nothing(gateway, nginx, counter):
    env, count = counter
    g = gateway(base_config([nginx().port], access_log={"path": "access.log"}), env=env)
    port = g.port()
    assert count() > 0, "the calls of the start are not counted"
    Wrk(port, 2, 64).result()
    # The connections of the warm-up have been closed; those of the second run are opened in it and are part of the count.
    wait_until(lambda: g.metric("cygnet_listener_connections") == 0, "the first run's connections are gone")
    before = count()
    requests, bad, errors = Wrk(port, 3, 64).result()
    calls = count() - before
    print("%d calls of the allocator in %d requests: %.6f a request" % (calls, requests, calls / requests))
    assert bad == 0 and not errors
    assert requests > 1000
    # A connection costs two calls when it is accepted. One call in a thousand requests beyond that is too many.
    assert calls - 2 * 64 < requests / 1000
    assert g.stop() == 0
    with open(os.path.join(g.directory, "access.log")) as f:
        lines = sum(json.loads(line)["response_code_details"] == "via_upstream" for line in f)
    assert lines >= requests
