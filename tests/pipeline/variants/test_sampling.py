"""A variant is run on as many evaluation samples as its figures need, and no figure claims more than they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.pipeline.build import Result, run_build
from edgekit.pipeline.variants.sampling import FIRST_LOOK, is_enough, looks, margin, order

_SESSIONS = 300


def test_looks_cover_all_samples_once_and_share_the_risk() -> None:
    for samples in (1, FIRST_LOOK, FIRST_LOOK + 1, 50_000):
        found = list(looks(samples))
        assert [look.begin for look in found] == [0, *(look.end for look in found[:-1])]
        assert found[-1].end == samples
        assert sum(look.risk for look in found) < 0.05
    shuffled = order(100, np.array([0, 50, 99]))
    assert shuffled[:3].tolist() == [0, 50, 99] and sorted(shuffled) == list(range(100))


@pytest.mark.parametrize(("lost", "gained"), [(0.0, 0.0), (0.004, 0.001), (0.03, 0.02), (0.1, 0.02)])
def test_what_all_samples_would_give_lies_within_the_margin(lost: float, gained: float) -> None:
    random, available, missed, stopped = np.random.default_rng(0), 16_000, 0, 0
    for _ in range(_SESSIONS):
        changes = random.choice([1, -1, 0], size=available, p=[lost, gained, 1 - lost - gained])
        for look in looks(available):
            seen = changes[: look.end]
            drop = 100 * float(seen.mean())
            off = margin(int((seen == 1).sum()), int((seen == -1).sum()), len(seen), look.risk)
            if is_enough(drop, off, None):
                break
        stopped += look.end < available
        missed += look.end < available and abs(drop - 100 * float(changes.mean())) > off
    assert missed <= 0.05 * _SESSIONS
    assert stopped == (_SESSIONS if lost + gained < 0.01 else 0)


def test_a_drop_near_what_is_allowed_needs_more_samples() -> None:
    assert is_enough(0.9, 0.3, None) and is_enough(0.1, 0.3, 1.0) and is_enough(2.0, 0.3, 1.0)
    assert not is_enough(0.9, 0.3, 1.0) and not is_enough(0.0, 0.6, None)


PROJECT = """\
[project]
name = "clouds"

[model]
framework = "torch"
factory = "net.py:make"

[data]
evaluation = "data.py:evaluation"
calibration = {{ from = "evaluation", samples = 200 }}
{metric}
[build]
formats = ["tflite"]
recipes = ["int8"]
"""

#: Three clouds that overlap, one after the other, as folders of photographs are read.
DATA = """\
import numpy as np

CENTRES = np.eye(3, 8, dtype=np.float32)


def evaluation():
    labels = np.repeat(np.arange(3), 4000)
    noise = np.random.default_rng(0).normal(size=(len(labels), 8)).astype(np.float32)
    return CENTRES[labels] + 0.4 * noise, labels


def right(outputs, labels):
    return 100 * (outputs.argmax(1) == labels).mean()
"""

NET = """\
import torch


def make():
    net = torch.nn.Sequential(torch.nn.Linear(8, 3, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3, 8))
    return net
"""


def _build(folder: Path, metric: str = "") -> Result:
    folder.mkdir()
    (folder / "edgekit.toml").write_text(PROJECT.format(metric=metric))
    (folder / "data.py").write_text(DATA)
    (folder / "net.py").write_text(NET)
    return run_build(str(folder), target="desktop-x86_64")


def test_a_build_stops_when_it_knows_the_drop_and_says_so(tmp_path: Path) -> None:
    result = _build(tmp_path / "clouds")
    (variant,) = result.manifest.variants if result.manifest else ()
    assert variant.samples in (1000, 2000, 4000, 8000)
    assert variant.margin is not None and variant.margin <= 0.5
    whole = _build(tmp_path / "whole", '[metric]\nname = "data.py:right"')  # a function may need all of them
    (all_of_them,) = whole.manifest.variants if whole.manifest else ()
    assert all_of_them.samples == 12_000 and all_of_them.margin is None
    assert variant.accuracy_drop is not None and all_of_them.accuracy_drop is not None
    assert abs(variant.accuracy_drop - all_of_them.accuracy_drop) <= variant.margin
    assert result.reference.accuracy == whole.reference.accuracy
    assert variant.accuracy == pytest.approx(result.reference.accuracy - variant.accuracy_drop, abs=0.002)
