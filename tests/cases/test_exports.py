"""Operators and outputs as people have them: the right value in every file, or one line that says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support import case_exports
from support.case_builds import MODELS, built, check_floats, eager
from support.case_exports import SAMPLES

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.fidelity import snr_db
from edgekit.manifest import Variant

pytestmark = pytest.mark.slow


def variants(path: Path) -> dict[str, Variant]:
    with Bundle.open(path) as bundle:
        return {variant.name: variant for variant in bundle.manifest.variants}


@pytest.mark.parametrize(
    "name",
    [
        "Sums", "Same", "SameOnALine", "Crops", "Resizes", "WholeNumbers", "Hashes", "Encoder", "Tied", "Spectrogram",
        "Returned", "ReadInside", "Pyramid", "Words",
    ],
)  # fmt: skip
def test_the_right_value_comes_out_of_every_float_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_floats(name, tmp_path, capsys)


@dataclass(frozen=True)
class Whole:
    """A build in int8: which files there are, and what is said of one of them."""

    name: str
    files: tuple[str, ...]
    said: str = ""
    least_db: float = 17.0


WHOLE = (
    Whole(
        "Words", ("int8.tflite", "int8.pte"), "96.8 % of the weights are not int8: 96,000 float32 in aten::embedding"
    ),
    Whole("Tied", ("int8.tflite", "int8.pte"), "float32 in aten::embedding"),
    Whole("Recurrent", ("int8.tflite", "int8.pte"), "of the weights are not int8"),
    Whole("WholeNumbers", ("int8.tflite", "int8.pte"), "float32 in aten::embedding"),
    Whole("Hashes", ("int8.tflite", "int8.pte")),
    Whole("Same", ("int8.tflite", "int8.pte"), least_db=10.0),
    Whole("Returned", ("int8.tflite", "int8.pte")),
    Whole("ReadInside", ("int8.tflite", "int8.pte")),
    Whole("Embedding", ("int8.tflite", "int8.pte")),
    Whole("Pyramid", ("int8.tflite", "int8.pte")),
    Whole("Units", ("int8.tflite", "int8.pte"), least_db=25.0),
)


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_int8_files_are_made_and_keep_float_outputs(
    case: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = built(case.name, tmp_path, capsys, "--recipe", "int8")
    assert made.status == 0, made.errors
    found, expected = variants(made.path), eager(case.name)
    assert set(case.files) <= set(found)
    assert case.said in " ".join(warning for variant in found.values() for warning in variant.warnings)
    for name in case.files:
        outputs = made.outputs(name)
        assert [(key, array.dtype) for key, array in outputs.items()] == [
            (key, array.dtype) for key, array in expected.items()
        ]
        for key, array in expected.items():
            if array.dtype.kind == "f":
                assert snr_db(array, outputs[key]) >= case.least_db, (name, key)


def test_a_table_of_words_is_int8_in_tflite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = built("Words", tmp_path, capsys, "--format", "tflite")
    assert made.status == 0, made.errors
    found = variants(made.path)
    assert found["int8.tflite"].size_bytes < 0.5 * found["fp32.tflite"].size_bytes
    assert not found["int8.tflite"].warnings


#: Model, arguments, what the line says, what the hint says.
REFUSED = {
    "an operator that no file has": (
        "Digamma", (), "no operator for aten.digamma (case_exports.py:", "other operators",
    ),
    "bfloat16 in .tflite": ("Brain", ("--format", "tflite"), "do this mul (case_exports.py:", "the other format"),
    "sensors of unlike size in int8": ("Sensors", ("--recipe", "int8"), "far larger than what it makes", "deviation"),
    "sensors in half precision": (
        "Sensors", ("--recipe", "fp16", "--format", "pte"), "beyond 65,504, the largest of half", "(x - mean)",
    ),
    "large values inside": (
        "LargeInside", ("--recipe", "fp16", "--format", "pte"), "beyond 65,504, the largest of half", "use fp32",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_made_is_said_in_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, arguments, says, hints = REFUSED[case]
    made = built(name, tmp_path, capsys, *arguments)
    assert made.status == 5 and len(made.errors) == len(made.hints) == 1
    assert says in made.errors[0] and hints in made.hints[0]
    assert not any(word in made.errors[0] + made.hints[0] for word in ("EK-UNEXPECTED", "report", "Error:"))


def test_what_fails_alike_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = tmp_path / "samples.npz"
    np.savez(samples, **SAMPLES[case_exports.Brain])
    status = run(
        ["build", f"{MODELS}:Brain", "--target", "rpi4", "--calibration", str(samples), "--out", str(tmp_path)]
    )
    said, progress = capsys.readouterr()
    assert progress.count("failed: LiteRT cannot do this mul") == 1
    (line,) = [line for line in said.splitlines() if "do this mul" in line and "failed" in line]
    assert status == 0
    assert line.startswith("fp32.tflite, ") and "int8.tflite" in line and " failed: " in line
