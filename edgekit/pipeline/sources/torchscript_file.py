"""TorchScript files (``torch.jit.save``) as source models."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.torch import TELL, TorchSource, open_module
from edgekit.pipeline.sources.torchscript import load_script


def open_source(spec: SourceSpec) -> TorchSource:
    """Open a ``torchscript`` source.

    Raises:
        UsageError: ``EK-SOURCE`` (no readable module, or one that does not take the inputs), ``EK-DATA`` (the data name
            other inputs) or ``EK-CONTENTS`` (it holds operators that are not on the list).
    """
    path = Path(spec.path)
    if not path.is_file():
        raise UsageError("EK-SOURCE", f"{path} is not a file", "name a file that torch.jit.save() wrote")
    if not spec.inputs:
        raise UsageError("EK-SOURCE", f"{path.name} does not say what goes into it", TELL)
    module = load_script(path, contents.script(path, spec.trust))
    source = open_module(module.float().eval(), spec, spec.read_sample(), path.name)
    if not source.parameter_count:  # it is frozen: weights are constants of its code
        graph = module.inlined_graph  # which its nodes do not keep alive
        source.parameter_count = sum(
            node.t("value").numel()
            for node in graph.findAllNodes("prim::Constant")
            if node.hasAttribute("value") and node.kindOf("value") == "t" and node.t("value").is_floating_point()
        )
    return source
