"""What is read back from real files is what is in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_models import SmallModels

from edgekit.errors import BundleError
from edgekit.pipeline.readers.facts import FileFacts, inspect_file, peak_bytes

# The image net of `small_models`: two convolutions, their biases (batch norm folds into them), a linear layer.
_KERNELS = 8 * 9 + 8 * 9


def _facts(models: SmallModels, tmp_path: Path, name: str) -> FileFacts:
    path = tmp_path / name
    path.write_bytes(models.files[name])
    return inspect_file(path, path.suffix[1:])


@pytest.mark.parametrize("name", ["image.tflite", "image.pte", "plain.pte"])
def test_weights_operators_and_kinds(small_models: SmallModels, tmp_path: Path, name: str) -> None:
    facts = _facts(small_models, tmp_path, name)
    assert sum(each.values for each in facts.weights) >= _KERNELS
    assert {each.dtype for each in facts.constants} >= {"float32"}
    assert {each.reader for each in facts.weights} <= {*facts.operators, ""}
    assert sum(each.values for each in facts.constants if len(each.shape) == 1) >= 16
    assert {"convolution", "linear"} <= set(facts.kinds)
    assert sum(facts.undelegated_ops.values()) <= sum(facts.operators.values())


def test_a_file_without_delegates_has_every_operator_outside(small_models: SmallModels, tmp_path: Path) -> None:
    facts = _facts(small_models, tmp_path, "plain.pte")
    assert (facts.delegated_share, facts.undelegated_ops) == (0.0, facts.operators)
    assert facts.operators["aten::convolution"] == 2


def test_a_delegated_file_says_so(small_models: SmallModels, tmp_path: Path) -> None:
    for name in ("image.tflite", "pair.pte"):
        assert _facts(small_models, tmp_path, name).delegated_share == 100.0


def test_one_format_holds_the_same_weights_as_another(small_models: SmallModels, tmp_path: Path) -> None:
    first, second = (_facts(small_models, tmp_path, name) for name in ("image.tflite", "image.pte"))
    assert first.weight_bytes["float32"] == second.weight_bytes["float32"]


def test_intermediate_values_are_counted_at_their_peak(small_models: SmallModels, tmp_path: Path) -> None:
    feature_maps = 2 * 8 * 6 * 6 * 4  # in and out of the second convolution, in float32
    for name in ("image.tflite", "plain.pte"):
        assert _facts(small_models, tmp_path, name).arena_bytes == feature_maps
    delegated = _facts(small_models, tmp_path, "image.pte").arena_bytes
    assert delegated is not None and feature_maps <= delegated < 2 * feature_maps  # with its input and output
    assert _facts(small_models, tmp_path, "image.ptl").arena_bytes is None
    assert peak_bytes([(0, 1), (1, 9, 2), (0, 2, 3)], {0: 1, 1: 10, 2: 100, 3: 1000}) == 1101
    assert peak_bytes([], {0: 1}) == 0


@pytest.mark.parametrize("format", ["tflite", "pte", "ptl", "onnx", "pt2", "keras"])
@pytest.mark.parametrize("data", [b"", b"nonsense" * 64])
def test_other_files_are_refused(tmp_path: Path, format: str, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        inspect_file(path, format)


@pytest.mark.parametrize("name", ["image.tflite", "image.pte"])
def test_a_file_cut_short_is_refused(small_models: SmallModels, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(small_models.files[name][:600])
    with pytest.raises(BundleError):
        inspect_file(path, path.suffix[1:])


def test_inspection_imports_no_framework(small_models: SmallModels, tmp_path: Path) -> None:
    for name in ("image.tflite", "image.pte"):
        (tmp_path / name).write_bytes(small_models.files[name])
    code = (
        "import sys; from pathlib import Path; from edgekit.pipeline.readers.facts import inspect_file;"
        "inspect_file(Path('image.tflite'), 'tflite'); inspect_file(Path('image.pte'), 'pte');"
        "assert not {'torch', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
