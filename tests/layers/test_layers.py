"""No file includes what its layer may not know; and the checker does catch one that does."""

from pathlib import Path

import layers
import pytest

ROOT = Path(__file__).resolve().parents[2]


def tree(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


BASE = {
    "include/cygnet/base.h": "",
    "include/cygnet/net.h": "#include <cygnet/base.h>\n#include <sys/uio.h>\n",
    "src/base/spin.h": "",
    "src/proto/http1.h": "#include <cygnet/base.h>\n",
    "src/runtime/sched.h": '#include "base/spin.h"\n',
    "src/net/conn.h": "",
    "src/gateway/route.h": '#include "proto/http1.h"\n#include <cygnet/net.h>\n',
    "src/cmd/main.c": '#include "gateway/route.h"\n',
    "src/net/dial.c": '#include "conn.h"\n#include "runtime/sched.h"\n#include "proto/http1.h"\n#include <errno.h>\n',
}


def test_tree_keeps_to_the_layers():
    assert layers.check(ROOT) == []


def test_checker_accepts_what_the_table_allows(tmp_path):
    assert layers.check(tree(tmp_path, BASE)) == []


@pytest.mark.parametrize(
    "name, text",
    [
        ("src/runtime/g.c", '#include "net/conn.h"\n'),  # upwards
        ("src/runtime/h.c", '#include "../net/conn.h"\n'),  # upwards, by another road
        ("src/proto/p.c", '#include "runtime/sched.h"\n'),  # proto stands on base alone
        ("src/proto/q.c", "#include <cygnet/net.h>\n"),
        ("src/base/b.c", "  #  include <cygnet/net.h>\n"),
        ("src/gateway/g.c", '#include "net/conn.h"\n'),  # a user of the library sees nothing private
        ("src/gateway/h.c", '#include "base/spin.h"\n'),  # not even what proto knows
        ("src/cmd/c.c", '#include "runtime/sched.h"\n'),
        ("src/net/n.c", '#include "gateway/route.h"\n'),
        ("src/net/o.c", '#include "no/such.h"\n'),
        ("src/net/s.c", "#include <runtime/sched.h>\n"),
        ("src/misc/m.c", ""),  # not a layer
        ("include/cygnet/bad.h", '#include "base/spin.h"\n'),
        ("include/cygnet/worse.h", "#include <cygnet/private.h>\n"),
        ("examples/e.c", '#include "proto/http1.h"\n'),
        ("examples/f.c", "#include <cygnet/private.h>\n"),
    ],
)
def test_checker_catches(tmp_path, name, text):
    found = layers.check(tree(tmp_path, {**BASE, name: text}))
    assert len(found) == 1 and name.split("/")[-1] in found[0]
