"""The digits of examples/digits, in the same split."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def load() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "digits" / "data.py"
    spec = importlib.util.spec_from_file_location("digits_data", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


digits = load()
train = digits.train
evaluation = digits.evaluation
