"""Eager torch: ``.pt2`` files, one operator after the other, as a module in a Python program runs them."""

from __future__ import annotations

import io
from typing import Any

from edgekit.runtime.engines.base import Engine, Session, misfit, only_forward
from edgekit.runtime.engines.torch_session import TorchSession
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature, TensorSpec


class TorchEager(Engine):
    name = "torch"
    formats = ("pt2",)
    install_hint = 'pip install "edgekit[build]"'
    mark = 6

    def version(self) -> str | None:
        return package_version("torch")

    def import_library(self) -> None:
        import torch  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return TorchSession(self.name, signature, threads, lambda: load_program(self.name, data, signature))


def load_program(engine: str, data: bytes, signature: Signature, device: str = "cpu") -> Any:
    """The program in a ``.pt2`` as a ``torch.fx.GraphModule`` on *device*: tensors in order in, a tuple of tensors out.

    It runs like the module that was exported: the wrapper of ``ExportedProgram.module()`` checks its inputs in Python
    at every call, and an operator by its overload takes its arguments apart in Python; both together make a network
    of three small layers five times slower (torch 2.13.0).

    Args:
        data: What `edgekit.runtime.contents` gives of it: torch does more with other files than read them.

    Raises:
        EdgekitError: ``EK-RUN``: it does not fit the signature.
    """
    import torch

    program = torch.export.load(io.BytesIO(data))
    _fit(engine, "inputs", signature.inputs, program, program.graph_signature.user_inputs)
    _fit(engine, "outputs", signature.outputs, program, program.graph_signature.user_outputs)
    if device != "cpu":  # where it was exported
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    module = program.module(check_guards=False)
    module.graph.set_codegen(torch.fx.graph.CodeGen())
    for node in module.graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload):
            node.target = _function(node.target)
    return torch.fx.GraphModule(module, module.graph)


def _function(operator: Any) -> Any:
    """The function of torch for an overload of an ATen operator: generated from the same schema, argument for argument.

    The overload itself where there is no such function.
    """
    import torch

    name = operator._schema.name.partition("::")[2]
    for home in (torch._C._nn, torch._C._VariableFunctions):
        if hasattr(home, name):
            return getattr(home, name)
    return operator


def _fit(engine: str, side: str, specs: tuple[TensorSpec, ...], program: Any, names: tuple[Any, ...]) -> None:
    """Compare the program's tensors called *names* with the signature's."""
    if len(names) != len(specs):
        raise misfit(engine, f"it has {len(names)} {side} where the signature has {len(specs)}")
    values = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    for spec, name in zip(specs, names, strict=True):
        value = values[name]
        dtype, shape = str(value.dtype).removeprefix("torch."), tuple(value.shape)
        if (shape, dtype) != (spec.shape, spec.dtype):
            raise misfit(engine, f"{spec.name!r} is {dtype}{list(shape)}, not {spec.dtype}{list(spec.shape)}")


ENGINE = TorchEager()
