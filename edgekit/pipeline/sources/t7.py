"""Torch7 files (``.t7``, Lua) as source models, rebuilt as PyTorch modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.t7_layers import rebuild
from edgekit.pipeline.sources.torch import TELL, TorchSource, open_module
from edgekit.runtime.contents.t7 import LuaObject


def open_source(spec: SourceSpec) -> TorchSource:
    """Open a ``t7`` source.

    Raises:
        UsageError: ``EK-SOURCE`` (no readable network, a layer without an equivalent, or one that does not take the
            inputs) or ``EK-DATA`` (the data name other inputs).
    """
    path = Path(spec.path)
    if not path.is_file():
        raise UsageError("EK-SOURCE", f"{path} is not a file", "name a file that torch.save() of Torch7 wrote")
    if not spec.inputs:
        raise UsageError("EK-SOURCE", f"{path.name} does not say what goes into it", TELL)
    value = contents.t7(path).value
    if not isinstance(value, LuaObject):
        raise UsageError("EK-SOURCE", f"{path.name} holds {_shown(value)}, and no network", _hint(value))
    module = rebuild(value, path.name)
    return open_module(module.float().eval(), spec, spec.read_sample(), path.name)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(str(key)[:40] for key in list(value)[:6])
        return f"a table ({names})"
    return f"a {type(value).__name__}"


def _hint(value: Any) -> str:
    networks = [key for key, each in value.items() if isinstance(each, LuaObject)] if isinstance(value, dict) else []
    name = networks[0] if networks else "model"
    return f"in Torch7, save the network alone: torch.save('model.t7', checkpoint.{name})"
