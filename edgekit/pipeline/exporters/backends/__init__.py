"""One module per ExecuTorch backend, called as it is.

Each has ``lowering(program, half)``, a context that gives the backend's partitioner; ``RULES``, the rewrites that it
needs (see `edgekit.pipeline.rewrites`); ``PRODUCERS``, the distributions that have a hand in a file besides torch and
executorch; and ``HALVES_GRAPH``: whether the graph itself has to compute in half precision where it shall.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def find(name: str) -> Any:
    """The module for the backend called *name*."""
    return import_module(f"{__name__}.{name}")
