"""The runner of examples/pitfalls as a module: `run.show`, `run.describe`, `run.names`."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("pitfalls_run", ROOT / "examples/pitfalls/run.py")
run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)
