"""Real model files as they are, on every verb, beside their own runtime called plainly: ``pytest tests/conformance``.

Needs the network once. The table goes to standard output, and to ``$EDGEKIT_REAL_FILES`` as ``table.md``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.cli.main import run

sys.path.insert(0, str(Path(__file__).parent))
from real_files import FILES, RealFile, fetch

_ROWS: list[tuple[str, ...]] = []
_HEAD = ("file", "inspect", "run", "largest difference", "verify", "profile, median ms")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    given = os.environ.get("EDGEKIT_REAL_FILES")
    with tempfile.TemporaryDirectory() as own:
        folder = Path(given or own)
        fetch(folder)
        yield folder
        lines = [" | ".join(row) for row in (_HEAD, ("---",) * len(_HEAD), *_ROWS)]
        print(*lines, sep="\n")
        (folder / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_works_on_every_verb_and_gives_what_its_own_runtime_does(
    file: RealFile, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / file.path
    shapes = [f"--shape={name}={','.join(map(str, shape))}" for name, shape in file.shapes.items()]

    def ask(verb: str, *words: str) -> Any:
        assert run([verb, str(path), *words, "--json", "--quiet"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    inputs = _inputs(path, file)
    np.savez(tmp_path / "in.npz", **inputs)
    if file.values:  # of which random ones would be none that it takes
        manifest = ask("inspect", "--sample", str(tmp_path / "in.npz"))
    else:
        manifest = ask("inspect", *shapes)
        ask("run", *shapes)
    ask("run", "--input", str(tmp_path / "in.npz"), "--output", str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as stored:
        found = {name: stored[name] for name in stored.files}
    expected = plainly(path, inputs)
    assert found.keys() == expected.keys() or len(found) == len(expected)
    pairs = list(zip(_ordered(found, expected), expected.values(), strict=True))
    differences = [np.abs(a.astype(np.float64) - b.astype(np.float64)).max() for a, b in pairs]
    assert all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    worst = max(differences)
    assert worst <= 1e-4
    sample = ["--sample", str(tmp_path / "in.npz")]
    rows = ask("verify", *sample)["rows"]
    (row,) = (row for row in rows if row["status"] != "not run")
    assert row["status"] == "passed" and row["is_given"]
    cells = ask("profile", "--quick", *sample)["rows"]
    (cell,) = (cell for cell in cells if cell["status"] == "measured")
    _ROWS.append(
        (
            file.name,
            _shown(manifest),
            "yes",
            "same bits" if all(a.tobytes() == b.tobytes() for a, b in pairs) else f"{worst:.1e}",
            row["status"] + (f": {row['reason']}" if row["reason"] else ""),
            f"{cell['latency_ms']['median']:.3g}",
        )
    )


def plainly(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs by name, as the file's own runtime gives them to somebody who calls it."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return dict(zip((each.name for each in session.get_outputs()), session.run(None, inputs), strict=True))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    signatures = interpreter.get_signature_list()
    if signatures:
        result: dict[str, np.ndarray] = interpreter.get_signature_runner(next(iter(signatures)))(**inputs)
        return result
    interpreter.allocate_tensors()
    for details, array in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        interpreter.set_tensor(details["index"], array)
    interpreter.invoke()
    return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}


def _inputs(path: Path, file: RealFile) -> dict[str, np.ndarray]:
    """Inputs by name, as the file's own runtime describes them."""
    draw = np.random.default_rng(1)
    inputs = {}
    for name, shape, dtype in described(path):
        sizes = file.shapes.get(name) or tuple(size if isinstance(size, int) else 1 for size in shape)
        array = draw.uniform(0, 1, sizes) if dtype.kind == "f" else draw.integers(0, 100, sizes)
        inputs[name] = np.asarray(file.values.get(name, array), dtype)
    return inputs


def described(path: Path) -> Iterator[tuple[str, Sequence[Any], np.dtype[Any]]]:
    if path.suffix == ".onnx":
        import onnxruntime

        for each in onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs():
            yield each.name, each.shape, np.dtype(each.type[7:-1].replace("float", "float32"))
        return
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    signatures = interpreter.get_signature_list()
    details = {each["name"]: each for each in interpreter.get_input_details()}
    if signatures:
        details = interpreter.get_signature_runner(next(iter(signatures))).get_input_details()
    for name, each in details.items():
        yield name, tuple(map(int, each["shape"])), np.dtype(each["dtype"])


def _ordered(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> list[np.ndarray]:
    """By name; names that no bundle takes are at the same index."""
    return [found[name] for name in expected] if found.keys() == expected.keys() else list(found.values())


def _shown(manifest: dict[str, Any]) -> str:
    (variant,) = manifest["variants"]
    sides = ", ".join(f"{spec['dtype']}{spec['shape']}" for spec in manifest["signature"]["inputs"])
    return f"{variant['recipe']}{', keeps state' if variant['given']['is_stateful'] else ''}: {sides}"
