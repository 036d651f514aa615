"""A sample of the operator matrix, which tests/conformance has whole: what docs/operators.md says still holds."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from support.operator_matrix import FILES, RIGHT, Result, read_results, table, tried
from torch.utils import _pytree as pytree

from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters import backends
from edgekit.pipeline.rewrites import LITERT, rewrite

_RESULTS = read_results()
#: Some of the lines that are rewritten.
_REWRITTEN = [line for line, found in _RESULTS.items() if "rewritten" in {each.outcome for each in found.values()}]
_REWRITTEN = _REWRITTEN[::32]
#: One of each kind that takes little time.
_FEW = (
    "nn.ConvTranspose2d(6, 4, 3, dilation=2) | x=normal(6, 7, 5)",
    "nn.Conv3d(4, 6, 3, padding=1, groups=2) | x=normal(4, 6, 7, 5)",
    "torch.scatter_add(x, 1, k, y) | x=normal(9) k=whole(0, 9, 4) y=normal(4)",
    "torch.lgamma(x) | x=positive(20)",
)
#: What converters lay out wrong behind a convolution, all at once.
_MIXED_UP = next(line for line in table() if "y.repeat(1, 1, 2, 1)), " in line)
_MORE = [line for line in _RESULTS if line not in (*_FEW, _MIXED_UP)][::66]


def build(line: str) -> tuple[torch.nn.Module, list[tuple[torch.Tensor, ...]]]:
    """The model of *line*, and some samples."""
    space: dict[str, object] = {}
    exec(table()[line].source, space)  # of our own table
    samples = table()[line].samples(4)
    inputs = [tuple(torch.from_numpy(each[row : row + 1]) for each in samples.values()) for row in range(4)]
    return space["build"]().eval(), inputs  # type: ignore[operator]


def test_nothing_is_wrong_and_nothing_a_librarys_message_alone() -> None:
    outcomes = {line: {each.outcome for each in found.values()} for line, found in _RESULTS.items()}
    assert len(outcomes) >= 400 and outcomes.keys() <= table().keys()
    assert [line for line, found in outcomes.items() if found & {"wrong", "unnamed"}] == []
    for format in ("tflite", "pte"):
        right = [found[f"{format} fp32"].outcome in RIGHT for found in _RESULTS.values()]
        assert sum(right) >= 0.95 * len(right)


def test_what_is_refused_says_where_and_what_to_do() -> None:
    refused = [each for found in _RESULTS.values() for each in found.values() if each.outcome == "refused"]
    assert refused and all(each.said and each.hint for each in refused)
    operators = [each for each in refused if "has no operator for" in each.said]
    assert operators and all("model.py:" in each.said for each in operators)


@pytest.mark.parametrize("line", _REWRITTEN)
@pytest.mark.parametrize("format", ["litert", "xnnpack"])
def test_what_is_rewritten_gives_the_same_values(line: str, format: str) -> None:
    rules = LITERT if format == "litert" else backends.find(format).RULES
    module, inputs = build(line)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        graph_module = rewrite(module, inputs[0], rules)
        for each in inputs:
            expected, found = (pytree.tree_leaves(network(*each)) for network in (module, graph_module))
            for one, other in zip(expected, found, strict=True):
                assert one.dtype == other.dtype and one.shape == other.shape
                if one.is_floating_point():
                    assert snr_db(one.numpy()[None], other.numpy()[None]) > 80
                else:
                    assert torch.equal(one, other)


def _check(line: str, folder: Path) -> None:
    known = _RESULTS[line]
    found = tried(table()[line], folder, [name for name in FILES if name in known])
    assert {name: _told(each) for name, each in found.items()} == {name: _told(each) for name, each in known.items()}


def _told(result: Result) -> tuple[str, str]:
    """What users are told: figures may differ from one processor to the next."""
    outcome = "right" if result.outcome in RIGHT else result.outcome
    return outcome, result.said if outcome == "refused" else ""


@pytest.mark.parametrize("line", [*_FEW, _MIXED_UP])
def test_files_are_what_the_page_says(line: str, tmp_path: Path) -> None:
    _check(line, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("line", _MORE)
def test_more_files_are_what_the_page_says(line: str, tmp_path: Path) -> None:
    _check(line, tmp_path)
