"""The library has the scheduler's static trace points when it was built with <sys/sdt.h>, which `make test` installs."""

import re
import subprocess

PROBES = {"park", "ready", "steal", "retake", "poll"}


def test_the_library_has_the_trace_points(build):
    notes = subprocess.run(["readelf", "-n", str(build / "src" / "libcygnet.so")], capture_output=True, text=True, check=True).stdout
    found = set(re.findall(r"Provider: cygnet\s+Name: (\w+)", notes))
    assert found == PROBES
