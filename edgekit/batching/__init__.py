"""Dynamic batching: trees, graphs and sequences of different size, computed together.

`Plan` groups the nodes of trees and graphs by depth and operation, `Batched` computes a plan with one call for each
group, `Sequences` takes sequences of different length through one module, and `Batcher` collects the requests of
several threads. `Batched` and `Sequences` are PyTorch modules, which can be trained; PyTorch is imported when they are
first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgekit.batching.plan import Node, Plan
from edgekit.runtime.batcher import Batcher

__all__ = ["Batched", "Batcher", "Node", "Plan", "Sequences"]

_HOMES = {"Batched": "edgekit.batching.evaluation", "Sequences": "edgekit.batching.sequences"}

if TYPE_CHECKING:
    from edgekit.batching.evaluation import Batched
    from edgekit.batching.sequences import Sequences


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit.batching' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from edgekit.errors import UsageError

        hint = 'pip install "edgekit[build]"'
        raise UsageError("EK-MISSING-PACKAGE", f"batching.{name} needs torch, which is not installed", hint) from error
