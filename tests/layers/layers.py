"""Who may include whom: the layers of src/, and a checker of include lines.

The order is the order in which bytes travel. A layer may include private headers of its own directory, of the layers named
here and of what those know in turn; public headers everybody may. The gateway and its commands are users of the library: of
what is private they see the protocols alone. Public headers know only each other, examples only <cygnet/...>.
"""

import re
from pathlib import Path

# layer: what it names (with what that knows in turn)
KNOWS = {
    "base": [],
    "proto": ["base"],
    "runtime": ["proto"],
    "sync": ["runtime"],
    "observe": ["sync"],
    "io": ["observe"],
    "net": ["io", "proto"],
    "tls": ["net"],
    "http": ["tls", "proto"],
    "telemetry": ["http"],
    "data": ["telemetry"],
    "discovery": ["http"],
}
# Above the public headers: exactly these private layers, nothing in turn.
USERS = {"gateway": {"proto"}, "doctor": {"gateway", "proto"}, "cmd": {"doctor", "gateway", "proto"}}
# proto has no I/O and no runtime below it, so not every public header is for it; nor for base, which all stand on.
PUBLIC_ALLOWED = {
    "base": {"base", "err", "time", "http_field"},
    "proto": {"base", "err", "http_field"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def known_to(layer):
    """Every layer whose private headers a layer may include, itself among them."""
    if layer in USERS:
        return {layer} | USERS[layer]
    seen, todo = set(), [layer]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += KNOWS[name]
    return seen


def includes(text):
    """(line number, bracket, path) of every include line."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def _check_public(where, path, allowed, public):
    name = path[len("cygnet/"):].removesuffix(".h")
    if name not in public:
        return f"{where}: there is no public header {path}"
    if allowed is not None and name not in allowed:
        return f"{where}: this layer may not include {path}"
    return None


def _check_private(where, file, src, path, allowed):
    """A quoted include: beside the file, or below src/. Named files must exist, so that no include goes unchecked."""
    for base in (file.parent, src):
        target = (base / path).resolve()
        if target.is_file() and src.resolve() in target.parents:
            layer = target.relative_to(src.resolve()).parts[0]
            if layer not in allowed:
                return f"{where}: may not include {path}, which is private to {layer}"
            return None
    return f"{where}: {path} is neither beside the file nor below src/"


def check(root):
    """Every forbidden include below root, as text with file and line."""
    root = Path(root)
    src, include = root / "src", root / "include" / "cygnet"
    public = {p.stem for p in include.glob("*.h")}
    bad = []

    def files(top):
        return sorted(p for p in top.rglob("*") if p.suffix in (".c", ".h", ".S")) if top.is_dir() else []

    for file in files(src):
        layer = file.relative_to(src).parts[0]
        if layer not in KNOWS and layer not in USERS:
            bad.append(f"{file}: src/{layer} is no layer; the table is in tests/layers/layers.py")
            continue
        for number, bracket, path in includes(file.read_text()):
            where = f"{file.relative_to(root)}:{number}"
            if path.startswith("cygnet/"):
                bad.append(_check_public(where, path, PUBLIC_ALLOWED.get(layer), public))
            elif bracket == '"':
                bad.append(_check_private(where, file, src, path, known_to(layer)))
            elif (src / path).is_file():
                bad.append(f"{where}: {path} is ours, include it with quotes")
    for file in files(include):
        for number, bracket, path in includes(file.read_text()):
            where = f"{file.relative_to(root)}:{number}"
            if path.startswith("cygnet/"):
                bad.append(_check_public(where, path, None, public))
            elif bracket == '"':
                bad.append(f"{where}: a public header includes only <cygnet/...> and the system's")
    for file in files(root / "examples"):
        for number, bracket, path in includes(file.read_text()):
            where = f"{file.relative_to(root)}:{number}"
            if bracket == '"':
                bad.append(f"{where}: an example includes only <cygnet/...> and the system's")
            elif path.startswith("cygnet/"):
                bad.append(_check_public(where, path, None, public))
    return [b for b in bad if b]
