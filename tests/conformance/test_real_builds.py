"""``edgekit build`` of real model files: what it makes, beside the source's own runtime.

``pytest -s -n 0 tests/conformance/test_real_builds.py``: needs the network once, and takes an hour or two. What is
known of a file lies in ``$EDGEKIT_REAL_FILES``, as ``builds.jsonl``, and is not found out again without
``EDGEKIT_REAL_AGAIN=1``; ``builds.md`` there is the table.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from real_files import FILES, SOURCES, RealFile, fetch
from test_real_files import described, plainly

_FORMATS, _RECIPES = ("tflite", "pte"), ("fp32", "int8")
_SAMPLES = 8
_PARITY = 1e-4
_HEAD = ("file", *(f"{recipe}.{format}" for recipe in _RECIPES for format in _FORMATS), "run", "verify", "profile")

#: Of sources that other frameworks run, in a process of their own: prints what goes in, and stores what comes out.
_SAVED_MODEL = """\
import sys
import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
with tf1.Session(graph=tf.Graph()) as session:
    signature = tf1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def["serving_default"]
    inputs = {signature.inputs[name].name: array for name, array in np.load(sys.argv[2]).items()}
    np.savez(sys.argv[3], **session.run({name: each.name for name, each in signature.outputs.items()}, inputs))
"""
_TORCH = """\
import sys
import numpy as np
import torch
from safetensors.torch import load_file
from net import make

net = make()
if sys.argv[1].endswith(".safetensors"):
    net.load_state_dict(load_file(sys.argv[1]))
inputs = {name: torch.from_numpy(array) for name, array in np.load(sys.argv[2]).items()}
with torch.no_grad():
    np.savez(sys.argv[3], *(each.numpy() for each in net(**inputs)))
"""
_SCRIPTS = {"": _SAVED_MODEL, ".safetensors": _TORCH, ".jit": _TORCH}


@dataclass(frozen=True)
class Found:
    """What is known of one file.

    Attributes:
        cells: Of each variant, or of the build as a whole: what is shown of it.
        wrong: Each thing that is not as it must be, as one line.
        said: What it was refused with, by variant.
    """

    name: str
    recipe: str
    cells: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as own:
        folder = Path(os.environ.get("EDGEKIT_REAL_FILES") or own)
        fetch(folder)
        yield folder
        lines = list(_table(_known(folder)))
        print("", *lines, sep="\n")
        (folder / "builds.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("recipe", _RECIPES)
@pytest.mark.parametrize("file", FILES + SOURCES, ids=lambda file: file.name)
def test_what_is_built_of_it_gives_what_its_own_runtime_does(
    file: RealFile, recipe: str, folder: Path, tmp_path: Path
) -> None:
    found = None if os.environ.get("EDGEKIT_REAL_AGAIN") else _known(folder).get((file.name, recipe))
    if found is None:
        found = Found(file.name, recipe)
        _try(file, folder, tmp_path, found)
        with (folder / "builds.jsonl").open("a", encoding="utf-8") as stored:
            stored.write(json.dumps(asdict(found)) + "\n")
    assert not found.wrong


def _known(folder: Path) -> dict[tuple[str, str], Found]:
    path = folder / "builds.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {(value["name"], value["recipe"]): Found(**value) for value in map(json.loads, lines)}


def _try(file: RealFile, folder: Path, work: Path, found: Found) -> None:
    path = folder / file.path
    inputs = _inputs(path, file)
    data = {name: array for name, array in inputs.items() if name not in file.values}
    np.savez(
        work / "samples.npz", **{name: array if _is_batch(array[0]) else array[:, 0] for name, array in data.items()}
    )
    words = [str(path)]
    if file.code:
        (work / "net.py").write_text(file.code)
        shutil.copy(path, work)
        words = ["net.py:make", *(["--weights", path.name] if path.suffix == ".safetensors" else [])]
    words += [] if file.held == "int8" else ["--calibration", str(work / "samples.npz")]
    words += [f"--constant={name}={value}" for name, value in file.values.items()]
    words += [f"--recipe={found.recipe}", *(f"--format={format}" for format in _FORMATS)]
    code, answer, noise = _asked(["build", *words, "--target", "rpi4", "--out", str(work)], work)
    if "Traceback" in noise:
        found.wrong.append("there is a traceback")
    if code not in (0, 2, 5):
        found.wrong.append(f"build ended with {code}")
    for each in answer.get("skipped", []):
        found.cells[each["name"]], found.said[each["name"]] = "-", each["reason"]
    rows = answer.get("variants", [])
    for row in rows:
        if row["status"] == "failed":
            _refused(file, found, row["name"], row["error"])
    if "error" in answer and not rows:
        _refused(file, found, "build", answer["error"])
    if not answer.get("bundle") or not any(row["status"] != "failed" for row in rows):
        return
    bundle = answer["bundle"]
    first = {name: array[0, ...] for name, array in inputs.items()}
    expected = _plainly(path, first, work)
    for row in rows:
        if row["status"] != "failed":
            _compare(file, bundle, row, first, expected, work, found)
    found.cells["run"] = "yes" if _asked(["run", bundle], work)[0] == 0 else "no"
    code, answer, _ = _asked(["verify", bundle], work)
    passed = [row["variant"] for row in answer.get("rows", []) if row["status"] == "passed"]
    found.cells["verify"] = f"{len(set(passed))} passed" if code == 0 else f"no: {answer}"
    code, answer, _ = _asked(["profile", "--quick", bundle], work)
    times = {
        row["variant"]: row["latency_ms"]["median"] for row in answer.get("rows", []) if row["status"] == "measured"
    }
    found.cells["profile"] = ", ".join(f"{name} {time:.3g} ms" for name, time in times.items()) if code == 0 else "no"
    for verb in ("run", "verify", "profile"):
        if found.cells[verb].startswith("no"):
            found.wrong.append(f"{verb} of the bundle: {found.cells[verb]}")


def _refused(file: RealFile, found: Found, name: str, error: dict[str, Any]) -> None:
    found.cells[name], found.said[name] = "refused", f"{error['code']}: {error['message']} ({error['hint']})"
    if error["code"] == "EK-UNEXPECTED" or not error["hint"]:
        found.wrong.append(f"{name} is not refused by name: {found.said[name]}")
    # Eight bits are too few for random inputs, which is said.
    coarse = {found.recipe, file.held} != {"fp32"} and error["code"] == "EK-QUALITY"
    if not coarse and not any(words in error["message"] for words in file.refused.get(name, ())):
        found.wrong.append(f"{name} is refused: {found.said[name]}")


def _compare(
    file: RealFile,
    bundle: str,
    row: dict[str, Any],
    inputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    work: Path,
    found: Found,
) -> None:
    name = row["name"]
    code, manifest, _ = _asked(["inspect", bundle], work)
    assert code == 0
    specs = manifest["signature"]["inputs"]
    states = {spec["name"]: np.full(spec["shape"], file.first, spec["dtype"]) for spec in specs}
    np.savez(work / "in.npz", **{name: inputs.get(name, state).reshape(state.shape) for name, state in states.items()})
    out = work / "out.npz"
    code, answer, _ = _asked(
        ["run", bundle, "--variant", name, "--input", str(work / "in.npz"), "--output", str(out)], work
    )
    if code:
        found.wrong.append(f"{name} does not run: {answer}")
        return
    with np.load(out) as stored:
        outputs = {each: stored[each] for each in stored.files}
    ordered = [outputs[each] for each in expected] if outputs.keys() >= expected.keys() else list(outputs.values())
    pairs = list(zip(ordered, expected.values(), strict=True))
    if any(a.size != b.size for a, b in pairs):
        found.wrong.append(f"{name} gives {[a.shape for a, _ in pairs]}, not {[b.shape for _, b in pairs]}")
        return
    parts = [
        np.abs(a.astype(np.float64).ravel() - b.astype(np.float64).ravel()).max()
        / (np.abs(b.astype(np.float64)).max() or 1)
        for a, b in pairs
    ]
    same = all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)
    quality = "" if row["snr_db"] is None else f", {row['snr_db']:.0f} dB"
    found.cells[name] = "same bits" if same else f"{max(parts):.1e}{quality}"
    if row["recipe"] == file.held and max(parts) > (_PARITY if file.held == "fp32" else 0):
        found.wrong.append(f"{name} differs by {max(parts):.1e} of the scale")


def _asked(words: list[str], work: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, document and standard error of one edgekit command, run where it has its own process."""
    command = [sys.executable, "-m", "edgekit.cli.main", *words, "--json", "--quiet"]
    child = subprocess.run(command, cwd=work, capture_output=True, text=True)
    return child.returncode, json.loads(child.stdout or "{}"), child.stderr


def _plainly(path: Path, inputs: dict[str, np.ndarray], work: Path) -> dict[str, np.ndarray]:
    if path.suffix not in _SCRIPTS:
        return plainly(path, inputs)
    np.savez(work / "given.npz", **inputs)
    command = [sys.executable, "-c", _SCRIPTS[path.suffix], str(path), "given.npz", "expected.npz"]
    subprocess.run(command, cwd=work, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(work)})
    with np.load(work / "expected.npz") as stored:
        return {name: stored[name] for name in stored.files}


def _inputs(path: Path, file: RealFile) -> dict[str, np.ndarray]:
    """Some of each input, by name: (samples, as the source's own runtime takes it)."""
    draw = np.random.default_rng(1)
    inputs = {}
    for name, shape, dtype in _described(path, file):
        sizes = (_SAMPLES, *(file.shapes.get(name) or tuple(size if isinstance(size, int) else 1 for size in shape)))
        array = draw.uniform(0, 1, sizes) if dtype.kind == "f" else draw.integers(0, 100, sizes)
        inputs[name] = np.full(sizes, file.values[name], dtype) if name in file.values else np.asarray(array, dtype)
    return inputs


def _described(path: Path, file: RealFile) -> Iterator[tuple[str, tuple[Any, ...], np.dtype[Any]]]:
    if path.suffix in (".onnx", ".tflite"):
        yield from described(path)
        return
    shapes = file.shapes or {"input_2": (1, 43844, 1)}  # of the SavedModel, as saved_model_cli shows it
    for name, shape in shapes.items():
        yield name, shape, np.dtype("float32")


def _is_batch(sample: np.ndarray) -> bool:
    """Whether it has no axis of samples: a state, a number."""
    return sample.ndim == 0 or sample.shape[0] != 1


def _table(found: dict[tuple[str, str], Found]) -> Iterator[str]:
    yield " | ".join(_HEAD)
    yield " | ".join(["---"] * len(_HEAD))
    for name in dict.fromkeys(name for name, _ in found):
        both = [each for each in found.values() if each.name == name]
        columns = [[_cell(each, column) for each in both] for column in _HEAD[1:]]
        yield " | ".join([name, *("; ".join(filter(None, column)) for column in columns)])
    for each in found.values():
        for name, line in each.said.items():
            yield f"- {each.name}, {each.recipe}, {name}: {line}"


def _cell(found: Found, column: str) -> str:
    own = "." not in column or column.startswith(found.recipe)
    return found.cells.get(column, found.cells.get("build", "") if own else "")
