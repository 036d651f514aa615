"""Rules of a recipe: operators that stay float, in files that run and follow their model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import rule_net

from edgekit.fidelity import compare
from edgekit.pipeline.data import save_arrays
from edgekit.pipeline.exporters import executorch, litert
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.recipes import RECIPES, Recipe, Rule
from edgekit.runtime.engines import open_session
from edgekit.tensors import TensorSpec

#: How each exporter calls the first layer of `rule_net.Net`, and the second, which gives its output.
_NAMES = {"tflite": ("^edgekit", "output"), "pte": ("body", "head")}


@pytest.mark.parametrize("scheme", ["int8", "int8-dynamic"])
@pytest.mark.parametrize("again", [False, True], ids=["some stay float", "a later rule wins"])
@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_what_a_rule_names_stays_float(
    format: str, again: bool, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = _NAMES[format]
    rules = (Rule(".", "float"), Rule(first, "recipe")) if again else (Rule(last, "float"),)
    mixed: Recipe = replace(RECIPES[scheme], name="mixed", rules={"litert": rules, "executorch": rules})
    monkeypatch.setattr(RECIPES, "_own", {**RECIPES._own, "mixed": mixed})
    samples = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    calibration, path = str(tmp_path / "calibration.npz"), str(tmp_path / f"model.{format}")
    save_arrays(calibration, {"input": samples})
    spec = SourceSpec("torch", rule_net.__file__, "Net", inputs=(TensorSpec("input", (1, 32), "float32"),))
    if format == "pte":
        executorch.export(source=spec.to_json(), recipe="mixed", calibration=calibration, output=path)
    else:
        litert.convert(source=spec.to_json(), output=f"{path}.float")
        litert.quantize(base=f"{path}.float", recipe="mixed", calibration=calibration, output=path)
    facts = inspect_file(Path(path), format)
    held = {each.shape: each.dtype for each in facts.weights}
    assert held == {(48, 32): "int8", (40, 48): "float32"}
    opened = open_source(spec)
    reference = opened.predict({"input": samples})["output"]
    session = open_session(
        {"tflite": "litert", "pte": "executorch"}[format], Path(path).read_bytes(), format, opened.signature, 1
    )
    measured = np.concatenate([session.run([sample[None]])[0] for sample in samples])
    assert compare({"output": reference}, {"output": measured}).snr_db > 30
