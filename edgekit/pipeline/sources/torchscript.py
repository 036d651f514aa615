"""TorchScript modules out of a factory: what goes in, and the exported program that they become."""

from __future__ import annotations

import torch
from torch._export.converter import TS2EPConverter

from edgekit.errors import UsageError
from edgekit.pipeline.sources.matching import Parameters


def script_parameters(module: torch.jit.ScriptModule) -> tuple[Parameters, list[str]]:
    """The parameters of forward(), and their names in order: all can be given by position."""
    arguments = module.forward.schema.arguments[1:]  # the first is the module
    names = [argument.name for argument in arguments]
    return Parameters(tuple(names), tuple(each.name for each in arguments if not each.has_default_value())), names


def exported_script(module: torch.jit.ScriptModule, inputs: tuple[torch.Tensor, ...], what: str) -> torch.nn.Module:
    """*module* as one that torch.export takes, by torch's own converter.

    Raises:
        UsageError: ``EK-SOURCE``: the converter does not know all of it.
    """
    try:
        return TS2EPConverter(module, inputs).convert().module()
    except Exception as error:  # the converter raises whatever its many parts do
        message = f"{what} returns a TorchScript module that torch {torch.__version__.partition('+')[0]} cannot export"
        hint = "return the nn.Module itself, before torch.jit.script or torch.jit.trace; the log says what failed"
        raise UsageError("EK-SOURCE", message, hint) from error
