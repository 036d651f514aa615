"""Cases after public bug reports: a model, its samples, and the command that a user types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.fidelity import snr_db
from edgekit.runtime.model import load


@dataclass(frozen=True)
class Built:
    """What ``edgekit build`` left.

    Attributes:
        status: Its exit code.
        errors, hints: Lines that it ended with.
        path: The bundle, whether it is there or not.
        samples: What was given.
    """

    status: int
    errors: tuple[str, ...]
    hints: tuple[str, ...]
    path: Path
    samples: Mapping[str, np.ndarray]

    def outputs(self, variant: str) -> dict[str, np.ndarray]:
        """What *variant* gives for each sample by itself, by name, samples first."""
        rows: list[Mapping[str, np.ndarray]] = []
        with load(self.path, variant=variant) as model:
            specs = model.signature.inputs
            given = list(self.samples.values()) if len(specs) == 1 else [self.samples[spec.name] for spec in specs]
            for index in range(len(given[0])):
                sample = {
                    spec.name: array[index : index + 1].astype(spec.dtype)
                    for spec, array in zip(specs, given, strict=True)
                }
                result = model(sample)
                rows.append(result if isinstance(result, dict) else {model.signature.outputs[0].name: result})
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def check(self, expected: Mapping[str, np.ndarray], variants: tuple[str, ...], least_db: float = 80.0) -> None:
        """Every one of *variants* gives the *expected* outputs, under these names and in this order."""
        with Bundle.open(self.path) as bundle:
            assert [spec.name for spec in bundle.manifest.signature.outputs] == list(expected)
            assert set(variants) <= {variant.name for variant in bundle.manifest.variants}, self.errors
        for variant in variants:
            found = self.outputs(variant)
            for name, array in expected.items():
                if array.dtype.kind == "f":
                    assert snr_db(array, found[name]) >= least_db, (variant, name)
                else:
                    np.testing.assert_array_equal(found[name], array, f"{variant}, {name}")


def build(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    source: Path | str,
    samples: Mapping[str, np.ndarray],
    *arguments: str,
    target: str = "rpi4",
) -> Built:
    """``edgekit build SOURCE --target rpi4 --calibration samples.npz``, with the bundle below *folder*.

    Args:
        source: A model file, or the path of a Python file with ``:factory``.
    """
    given = folder / "samples.npz"
    np.savez(given, **samples)
    command = ["build", str(source), "--target", target, "--calibration", str(given), "--out", str(folder / "build")]
    status = run([*command, *arguments])
    said = [line.strip() for line in capsys.readouterr().err.splitlines()]
    path, _, _ = str(source).partition(":")
    return Built(
        status,
        tuple(line.removeprefix("error: ") for line in said if line.startswith("error: ")),
        tuple(line.removeprefix("hint: ") for line in said if line.startswith("hint: ")),
        folder / "build" / f"{Path(path).stem}-{target}.edgekit",
        samples,
    )
