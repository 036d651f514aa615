"""The project's data: what is made of it, and how each fault in it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.metric import ACCURACY, Metric
from edgekit.pipeline.data import load_arrays, prepare, save_arrays
from edgekit.pipeline.metric import find_scorer


def project(folder: Path, body: str) -> Path:
    (folder / "data.py").write_text("import numpy as np\n" + body)
    return folder


def run(folder: Path, **changes: Any) -> dict[str, Any]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    arguments: dict[str, Any] = {
        "project": str(folder),
        "train": "data.py:train",
        "evaluation": "data.py:evaluation",
        "calibration": None,
        "draw_from": "train",
        "draw": 4,
        "preprocessing": None,
        "classes": 3,
        "seed": 0,
        "directory": str(out),
    }
    return prepare(**{**arguments, **changes})


GOOD = """
def train():
    return np.arange(60, dtype=np.uint8).reshape(10, 2, 3), np.arange(10) % 3
def evaluation():
    return np.arange(30, dtype=np.uint8).reshape(5, 2, 3), np.arange(5) % 3
"""


def test_raw_samples_are_preprocessed_and_calibration_is_drawn_from_training(tmp_path: Path) -> None:
    process = {"scale": 0.5, "mean": [1.0], "std": [2.0], "layout": "channels-first", "resize": None}
    record = run(project(tmp_path, GOOD), preprocessing=process)
    assert record["samples"] == {"train": 10, "evaluation": 5, "calibration": 4}
    assert record["calibration_from"] == "train"
    assert record["inputs"] == [{"name": "input", "shape": [1, 1, 2, 3], "dtype": "float32"}]
    inputs, labels = load_arrays(tmp_path / "out" / "evaluation.npz")
    raw = np.arange(30).reshape(5, 1, 2, 3)
    np.testing.assert_allclose(inputs["input"], (raw * 0.5 - 1.0) / 2.0, rtol=1e-6)
    assert labels is not None and labels.tolist() == [0, 1, 2, 0, 1]
    drawn, none = load_arrays(tmp_path / "out" / "calibration.npz")
    assert drawn["input"].shape == (4, 1, 2, 3) and none is None


def test_photographs_stay_bytes_until_they_are_read(tmp_path: Path) -> None:
    body = GOOD + "def calibration():\n    return evaluation()[0][:3], np.arange(2)\n"
    process = {"scale": 0.5, "mean": [1.0], "std": [], "layout": "channels-first", "resize": None}
    record = run(project(tmp_path, body), preprocessing=process, calibration="data.py:calibration")
    assert (record["samples"]["calibration"], record["calibration_from"]) == (3, "data.py:calibration")
    for name, dtype in (("train", np.uint8), ("evaluation", np.uint8), ("calibration", np.float32)):
        with np.load(tmp_path / "out" / f"{name}.npz") as stored:
            assert stored["input"].dtype == dtype
    evaluation, _ = load_arrays(tmp_path / "out" / "evaluation.npz")
    calibration, labels = load_arrays(tmp_path / "out" / "calibration.npz")
    np.testing.assert_array_equal(calibration["input"], evaluation["input"][:3])
    assert labels is None and evaluation["input"].dtype == np.float32


def test_arrays_in_a_file_need_no_python(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.ones((3, 4), np.float32), y=np.array([0, 1, 2]))
    record = run(tmp_path, train=None, evaluation="set.npz", draw_from=None, draw=None)
    assert record["samples"] == {"evaluation": 3, "calibration": 3}


def test_several_inputs_are_named(tmp_path: Path) -> None:
    body = "def evaluation():\n    return {'a': np.ones((3, 2)), 'b': np.ones((3, 5), np.int32)}\n"
    record = run(project(tmp_path, body), train=None, draw_from=None, draw=None)
    assert {spec["name"]: (spec["shape"], spec["dtype"]) for spec in record["inputs"]} == {
        "a": ([1, 2], "float32"),
        "b": ([1, 5], "int32"),
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return np.empty((0, 2)), np.empty(0)", "is empty"),
        ("return np.full((3, 2), np.nan), np.arange(3)", "NaN or infinity, first in sample 0"),
        ("return np.ones((3, 2)), np.arange(2)", "3 samples but 2 labels"),
        ("return np.ones((4, 2)), np.arange(4)", "labels run from 0 to 3, but data.labels names 3 classes"),
        ("return np.array(['a', 'b', 'c']), np.arange(3)", "not numbers"),
        ("return np.ones((3, 2)), np.array(['a', 'b', 'c'])", "the labels of data.py:evaluation\\(\\) holds text"),
        ("return np.ma.masked_array(np.ones((3, 2)), np.eye(3)[:, :2]), np.arange(3)", "has masked values"),
        ("return np.array([{}, {}, {}]), np.arange(3)", "holds Python objects"),
        ("return np.float32(3), np.arange(1)", "is one number, not samples"),
        ("return np.ones((3, 0)), np.arange(3)", "is empty"),
        ("return np.full((3, 2), 1e300), np.arange(3)", "more than float32 has"),
        ("return {'a\\n': np.ones(3), 'a ': np.ones(3)}, np.arange(3)", "names two inputs 'a'"),
        ("return [[1, 2], [3]], np.arange(2)", "different shapes"),
        ("return {'a': np.ones(3), 'b': np.ones(2)}, np.arange(3)", "differ in length"),
        ("raise ValueError('lost the disk')", "lost the disk"),
    ],
)
def test_what_is_wrong_with_data_is_said_in_one_line(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        run(project(tmp_path, f"def evaluation():\n    {body}\n"), train=None, draw_from=None, draw=None)
    assert "\n" not in caught.value.message and caught.value.hint


def test_an_input_may_be_called_labels_or_file(tmp_path: Path) -> None:
    body = "def evaluation():\n    return {'labels': np.ones((3, 2)), 'file': np.zeros((3, 5))}, np.array([2, 0, 1])\n"
    record = run(project(tmp_path, body), train=None, draw_from=None, draw=None)
    assert [spec["name"] for spec in record["inputs"]] == ["labels", "file"]
    inputs, labels = load_arrays(tmp_path / "out" / "evaluation.npz")
    assert {name: array.shape for name, array in inputs.items()} == {"labels": (3, 2), "file": (3, 5)}
    assert labels is not None and labels.tolist() == [2, 0, 1]
    drawn, none = load_arrays(tmp_path / "out" / "calibration.npz")
    assert list(drawn) == ["labels", "file"] and none is None


@pytest.mark.parametrize("dtype", [">f4", "f2", "f8", ">f8", "g"])
def test_floats_of_any_width_and_byte_order_are_single(tmp_path: Path, dtype: str) -> None:
    body = f"def evaluation():\n    return np.arange(6).reshape(3, 2).astype('{dtype}'), np.arange(3)\n"
    record = run(project(tmp_path, body), train=None, draw_from=None, draw=None)
    assert record["inputs"][0]["dtype"] == "float32"
    inputs, _ = load_arrays(tmp_path / "out" / "evaluation.npz")
    np.testing.assert_array_equal(inputs["input"], np.arange(6).reshape(3, 2))


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("{'b': np.ones((3, 2))}", "inputs are b, the evaluation data's a"),
        ("{'a': np.ones((3, 4))}", r"the shape \[4\]"),
    ],
)
def test_sets_of_different_inputs_are_refused(tmp_path: Path, train: str, says: str) -> None:
    body = "def evaluation():\n    return {'a': np.ones((3, 2))}, np.arange(3)\n"
    with pytest.raises(UsageError, match=says):
        run(project(tmp_path, f"{body}def train():\n    return {train}, np.arange(3)\n"))


def test_calibration_from_a_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="draws from 'train'"):
        run(project(tmp_path, GOOD), train=None)


def test_empty_calibration_is_refused(tmp_path: Path) -> None:
    body = GOOD + "def calibration():\n    return np.empty((0, 2, 3))\n"
    with pytest.raises(UsageError, match="the calibration data is empty"):
        run(project(tmp_path, body), calibration="data.py:calibration")


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_arrays(tmp_path / name, {"x": np.arange(5.0)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_accuracy_is_the_share_of_right_classes(tmp_path: Path) -> None:
    outputs = {"output": np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])}
    labels = np.array([1, 0, 0, 0])
    metric = find_scorer("accuracy", ACCURACY, tmp_path, labels)
    assert metric.score(outputs, labels) == 75.0
    assert metric.right is not None and metric.right(outputs, labels).tolist() == [True, True, False, True]
    with pytest.raises(UsageError, match="needs class numbers"):
        find_scorer("accuracy", ACCURACY, tmp_path, np.array([0.5, 1.5]))


def test_a_metric_of_the_project_gets_outputs_and_labels(tmp_path: Path) -> None:
    (tmp_path / "metric.py").write_text(
        "import numpy as np\n"
        "def within_one(outputs, labels):\n    return 100 * np.mean(np.abs(outputs[:, 0] - labels) < 1)\n"
        "def broken(outputs, labels):\n    return 'good'\n"
    )
    outputs, labels = {"output": np.array([[0.2], [5.0]])}, np.array([0.0, 1.0])
    assert find_scorer("metric.py:within_one", ACCURACY, tmp_path, labels).score(outputs, labels) == 50.0
    with pytest.raises(UsageError, match="not a number"):
        find_scorer("metric.py:broken", ACCURACY, tmp_path, labels).score(outputs, labels)


def test_the_mean_absolute_error_is_better_where_it_is_less(tmp_path: Path) -> None:
    labels = np.array([1.0, 2.0])
    scorer = find_scorer("mae", Metric("mae"), tmp_path, labels)
    assert scorer.score({"output": np.array([[1.5], [2.0]], np.float32)}, labels) == 0.25
    assert scorer.metric.drop(0.01, 1.5) > 0 > scorer.metric.drop(1.5, 0.01)
    with pytest.raises(UsageError, match="a label for each output"):
        scorer.score({"output": np.zeros((2, 3), np.float32)}, labels)
