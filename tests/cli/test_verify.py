"""``edgekit verify``."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import SmallModels

from edgekit.bundle import Bundle, write_bundle
from edgekit.cli.main import run
from edgekit.digests import sha256
from edgekit.manifest import Required
from edgekit.runtime import children
from edgekit.runtime.engines import executorch
from edgekit.runtime.machine import read_machine
from edgekit.runtime.verification import verify


@pytest.fixture(autouse=True)
def no_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))


def rewritten(bundle: Path, to: Path, changed: dict[str, bytes], **facts: object) -> Path:
    """The bundle with other contents for some files, or other facts of its first variant, hashes made to fit."""
    with Bundle.open(bundle) as opened:
        files = {name: changed.get(name, opened.read(name)) for name in opened.manifest.files}
        manifest = opened.manifest
    variants = [
        replace(entry, size_bytes=len(files[entry.file]), sha256=sha256(files[entry.file]))
        for entry in manifest.variants
    ]
    variants[0] = replace(variants[0], **facts)  # type: ignore[arg-type]
    write_bundle(replace(manifest, variants=tuple(variants)), files, to)
    return to


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def test_every_variant_passes_where_it_was_built(small_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(small_bundle), "--json", "--threads", "1"]) == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    statuses = {(row["variant"], row["engine"]): row["status"] for row in rows}
    assert statuses == {
        ("fp32.tflite", "litert"): "passed",
        ("fp32.tflite", "tflite-runtime"): "not run",
        ("int8-dynamic.tflite", "litert"): "passed",
        ("int8-dynamic.tflite", "tflite-runtime"): "not run",
        ("fp32.pte", "executorch"): "passed",
    }
    for row in rows:
        if row["status"] == "passed":
            assert row["snr_db"] >= row["required_snr_db"] and row["threads"] == 1 and row["agreement"] == 100
        else:
            assert row["reason"] == "not installed"


def test_a_table_for_people(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(small_bundle), "--variant", "fp32.tflite", "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["variant", "engine"] and len(lines) == 3
    assert lines[1].endswith("passed") and lines[2].endswith("not run: not installed")


def test_outputs_that_are_off_are_named(
    small_bundle: Path, small_models: SmallModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = small_models.scores[:8].copy()
    reference[0, 0] += 0.01
    bundle = rewritten(small_bundle, tmp_path / "off.edgekit", {"checks/output_0.npy": npy(reference)})
    assert run(["verify", str(bundle), "--variant", "fp32.tflite"]) == 3
    err = capsys.readouterr().err
    assert "[EK-VERIFY]" in err and "fp32.tflite on litert" in err and "output[:, 0] is 16.8 dB" in err


def test_a_quantized_variant_may_lose_three_db(small_bundle: Path, tmp_path: Path) -> None:
    with Bundle.open(small_bundle) as opened:
        entry = opened.manifest.variants[1]
        rows = verify(opened, machine=read_machine(), threads=1, variant=entry.name)
        (row,) = (row for row in rows if row.status == "passed")
        assert entry.required is not None and row.required_snr_db == entry.required.snr_db
    better = rewritten(small_bundle, tmp_path / "b.edgekit", {}, recipe="fp16", required=Required(147.0, 60.0))
    with Bundle.open(better) as opened:
        row = verify(opened, machine=read_machine(), threads=1, variant="fp32.tflite")[0]
    assert row.status == "failed" and "147.0 dB" in row.reason


def test_a_damaged_file_never_reaches_an_engine(small_bundle: Path, tmp_path: Path) -> None:
    data = bytearray(small_bundle.read_bytes())
    with Bundle.open(small_bundle) as opened:
        model = opened.read("variants/fp32.tflite")
    data[data.find(model) + len(model) // 2] ^= 1
    (tmp_path / "damaged.edgekit").write_bytes(data)
    assert run(["verify", str(tmp_path / "damaged.edgekit")]) == 6


def test_a_constant_reference_proves_nothing(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (0.0, 0.25):
        constant = npy(np.full((8, 4), value, np.float32))
        bundle = rewritten(small_bundle, tmp_path / "constant.edgekit", {"checks/output_0.npy": constant})
        assert run(["verify", str(bundle)]) == 3
        assert "prove nothing" in capsys.readouterr().err


def test_check_vectors_that_do_not_fit_are_refused(small_bundle: Path, tmp_path: Path) -> None:
    for array in (np.zeros((7, 1, 12, 12), np.float32), np.zeros((8, 1, 12, 12)), np.zeros((8, 3), np.float32)):
        bundle = rewritten(small_bundle, tmp_path / "unfit.edgekit", {"checks/input_0.npy": npy(array)})
        assert run(["verify", str(bundle), "--quiet"]) == 6


def test_an_engine_that_crashes_is_one_failed_row(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is made to die while it loads the int8 file, as native code does."""
    monkeypatch.setattr(executorch.ExecuTorch, "version", lambda self: None)
    real = children.module("edgekit.runtime.remote_child")
    with Bundle.open(small_bundle) as opened:
        # The first tflite variant runs in a second process, which the verification starts after the crash.
        entries = opened.manifest.variants
        opened.manifest = replace(opened.manifest, variants=(entries[1], entries[0], entries[2]))
        size = next(entry.size_bytes for entry in opened.manifest.variants if "int8" in entry.name)
        trap = (
            "import os\nfrom edgekit.runtime import remote_child\nreal = remote_child.open_session\n"
            f"remote_child.open_session = lambda n, d, *r: os.abort() if len(d) == {size} else real(n, d, *r)\n"
            "remote_child.main()\n"
        )
        boot = real[3].replace("name = sys.argv[2]", f"exec({trap!r})\nsys.exit()\nname = sys.argv[2]")
        command = [*real[:3], boot, *real[4:]]
        monkeypatch.setattr(children, "module", lambda *_: command)
        rows = verify(opened, machine=read_machine(), threads=1)
    status = {row.variant: (row.status, row.reason) for row in rows if row.status != "not run"}
    assert status["fp32.tflite"] == ("passed", "")
    assert status["int8-dynamic.tflite"][0] == "failed" and "SIGABRT" in status["int8-dynamic.tflite"][1]


def test_wrong_arguments(small_bundle: Path, tmp_path: Path) -> None:
    assert run(["verify", str(small_bundle), "--variant", "int9"]) == 2
    assert run(["verify", str(small_bundle), "--on", "mars"]) == 2
    assert run(["verify", str(tmp_path / "none.edgekit")]) == 6
