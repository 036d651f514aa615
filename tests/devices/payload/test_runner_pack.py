"""The self-contained runner, in a root directory that holds nothing else."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels

from edgekit.bundle import Bundle
from edgekit.devices.emulator import board
from edgekit.devices.payload import runner_pack
from edgekit.devices.payload.part import Entry, Part
from edgekit.errors import DeviceError
from edgekit.runtime import native
from edgekit.runtime.engines import open_session
from edgekit.runtime.native import compilers
from edgekit.target import load_target


def quiet(line: str) -> None:
    pass


class Jail:
    """A root directory with the unpacked runner in ``/pack``, what a Raspberry Pi's kernel shows, and qemu."""

    def __init__(self, root: Path, part: Part):
        self.root = root
        part.unpack(root / "pack")
        board.write(load_target("rpi4"), root)
        (root / "qemu").write_bytes(Path(shutil.which("qemu-aarch64-static") or "").read_bytes())
        (root / "qemu").chmod(0o755)
        (root / "tmp").mkdir()

    def run(self, *arguments: str) -> tuple[int, dict[str, object]]:
        """Run what ``run.sh`` runs (there is no shell in here): its exit code, and the document it prints."""
        loader = ["/pack/ld-linux-aarch64.so.1", "--library-path", "/pack", "/pack/edgekit-runner"]
        enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "chroot"]
        command = [*enter, str(self.root), "/qemu", "-cpu", "cortex-a72", *loader, *arguments]
        result = subprocess.run(
            command, env={"PATH": "/usr/sbin:/usr/bin"}, capture_output=True, text=True, errors="replace", check=False
        )
        assert result.stdout, result.stderr
        return result.returncode, json.loads(result.stdout)

    def outputs(self, model: bytes, inputs: Sequence[np.ndarray], *options: str, format: str) -> list[np.ndarray]:
        path = f"/tmp/model.{format}"
        (self.root / path[1:]).write_bytes(model)
        files = [f"/tmp/in_{index}.raw" for index in range(len(inputs))]
        for file, array in zip(files, inputs, strict=True):
            array.tofile(self.root / file[1:])
        code, answer = self.run("--model", path, "--input", *files, "--output-dir", "/tmp", *options)
        assert code == 0, answer
        described = answer["outputs"]
        assert isinstance(described, list)
        return [
            np.fromfile(self.root / f"tmp/output_{index}.raw", facts["dtype"]).reshape(facts["shape"])
            for index, facts in enumerate(described)
        ]


@pytest.fixture(autouse=True, scope="module")
def home(fetched: Path) -> Iterator[None]:
    """What is fetched and packed here, other tests of devices find there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(fetched))
        yield


@pytest.fixture(scope="module")
def pack(system: None) -> Part:
    return runner_pack.runner_part("aarch64", ("tflite", "pte"), quiet)


@pytest.fixture(scope="module")
def jail(pack: Part, tmp_path_factory: pytest.TempPathFactory) -> Jail:
    return Jail(tmp_path_factory.mktemp("jail"), pack)


def contents(part: Part) -> dict[str, bytes]:
    with tarfile.open(part.archive) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {name: file.read() for name, file in files if file is not None}


def test_it_is_small_and_brings_its_licences(pack: Part) -> None:
    assert pack.size_bytes < 9e6
    assert (pack.runner, pack.python_paths, pack.native_path) == ("run.sh", (), None)
    with tarfile.open(pack.archive) as archive:
        modes = {member.name: member.mode for member in archive}
    assert {name for name, mode in modes.items() if mode == 0o755} == {
        "run.sh",
        "edgekit-runner",
        "ld-linux-aarch64.so.1",
    }
    notices = {"NOTICE.executorch", "NOTICE.litert", "NOTICE.runtime-libraries", "LICENSE.executorch"}
    assert notices | {"LICENSE.litert", "LICENSE.lgpl-2.1", "LICENSE.gpl-3", "LICENSE.apache-2.0"} <= modes.keys()


def test_it_brings_only_what_the_formats_need(pack: Part) -> None:
    of_both = contents(pack).keys()
    pte = runner_pack.runner_part("aarch64", ["pte", "ptl"], quiet)
    tflite = runner_pack.runner_part("aarch64", ["tflite"], quiet)
    assert of_both - contents(pte).keys() == {"libLiteRt.so", "LICENSE.litert", "NOTICE.litert"}
    assert {name for name in of_both - contents(tflite).keys() if name.endswith(".so")} == {
        native.LIBRARY,
        *native.EXECUTORCH_LIBRARIES,
    }
    assert tflite.size_bytes < 5e6 and pte.size_bytes < 6e6


def test_it_runs_on_kernels_with_pages_of_64_kib(pack: Part) -> None:
    """Phones of 2025 and a Raspberry Pi 5 have pages of 16 KiB."""
    alignments = {name: runner_pack.alignment_bytes(data) for name, data in contents(pack).items()}
    binaries = {name: found for name, found in alignments.items() if found is not None}
    assert len(binaries) == 16 and min(binaries.values()) == 1 << 16
    readelf = subprocess.run(["readelf", "-lW", "/bin/true"], capture_output=True, text=True, check=True).stdout
    least = min(int(line.split()[-1], 16) for line in readelf.splitlines() if line.split()[:1] == ["LOAD"])
    assert runner_pack.alignment_bytes(Path("/bin/true").read_bytes()) == least == 4096
    with pytest.raises(DeviceError, match=r"true is laid out for pages of 4 KiB, the device's have 16 KiB") as caught:
        runner_pack.check_pages([Entry("run.sh", b"#!/bin/sh"), Entry("true", Path("/bin/true").read_bytes())], 16384)
    assert caught.value.code == "EK-DEVICE"


def test_other_devices_and_files_are_refused() -> None:
    with pytest.raises(DeviceError, match="there is no runner for armv7l, only for aarch64 and x86_64") as caught:
        runner_pack.runner_part("armv7l", ["pte"], quiet)
    assert caught.value.hint == "a 64-bit system has one"
    with pytest.raises(DeviceError, match=r"edgekit's runner takes \.tflite and \.pte files only"):
        runner_pack.runner_part("aarch64", ["ptl"], quiet)


@pytest.mark.parametrize("name", ["image.tflite", "image-int8.tflite", "image.pte", "plain.pte"])
def test_a_model_runs_with_nothing_else_there(jail: Jail, small_models: SmallModels, name: str) -> None:
    image, format = small_models.images[3:4], name.partition(".")[2]
    (scores,) = jail.outputs(small_models.files[name], [image], "--threads", "2", "--repeat", "3", format=format)
    engine = runner_pack.engines()[format].name
    here = open_session(engine, small_models.files[name], format, IMAGE, 1)
    np.testing.assert_allclose(scores, here.run([image])[0], rtol=1e-5, atol=1e-6)
    here.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["int8.tflite", "int8.pte"])
def test_int8_has_the_same_bits_as_here(jail: Jail, digits_bundle: Path, name: str) -> None:
    with Bundle.open(digits_bundle) as bundle:
        entry, signature = bundle.manifest.variant(name), bundle.manifest.signature
        inputs, _ = bundle.check_vectors()
        samples = [inputs[spec.name][:1] for spec in signature.inputs]
        (found,) = jail.outputs(
            bundle.read(entry.file), samples, "--threads", "4", "--repeat", "2", format=entry.format
        )
        session = open_session(entry.engines[0], bundle.read(entry.file), entry.format, signature, 1)
        (expected,) = session.run(samples)
        session.close()
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_several_inputs_and_outputs(jail: Jail, small_models: SmallModels, format: str) -> None:
    names = [
        *("--input-names", *(spec.name for spec in PAIR.inputs)),
        *("--output-names", *(spec.name for spec in PAIR.outputs)),
    ]
    outputs = jail.outputs(small_models.files[f"pair.{format}"], small_models.pair_inputs, *names, format=format)
    assert [output.shape for output in outputs] == [spec.shape for spec in PAIR.outputs]
    for output, expected in zip(outputs, small_models.pair_outputs, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-6)


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_a_wrong_file_is_said(jail: Jail, format: str) -> None:
    (jail.root / f"tmp/wrong.{format}").write_bytes(b"rubbish" * 100)
    code, answer = jail.run("--model", f"/tmp/wrong.{format}", "--output-dir", "/tmp")
    assert code == 1 and answer["error"]


@pytest.mark.system
@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_its_script_starts_it_on_a_real_machine(small_models: SmallModels, tmp_path: Path, format: str) -> None:
    pack = runner_pack.runner_part(platform.machine(), [format], quiet)
    pack.unpack(tmp_path / "a folder")
    (tmp_path / f"model.{format}").write_bytes(small_models.files[f"image.{format}"])
    small_models.images[:1].tofile(tmp_path / "in.raw")
    command = ["a folder/run.sh", "--model", f"model.{format}", "--input", "in.raw", "--output-dir", "."]
    subprocess.run(command, cwd=tmp_path, env={"PATH": os.defpath}, capture_output=True, check=True)
    scores = np.fromfile(tmp_path / "output_0.raw", "float32")
    np.testing.assert_allclose(scores, small_models.scores[0], atol=1e-5)


def test_without_a_compiler_that_brings_libraries_they_are_debians(
    pack: Part, small_models: SmallModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compilers.Compiler, "library", lambda compiler, name: None)
    lines: list[str] = []
    other = runner_pack.runner_part("aarch64", ("tflite", "pte"), lines.append)
    assert abs(other.size_bytes - pack.size_bytes) < 1e6
    jail = Jail(tmp_path, other)
    for format in ("tflite", "pte"):
        model = small_models.files[f"image.{format}"]
        (scores,) = jail.outputs(model, [small_models.images[:1]], format=format)
        np.testing.assert_allclose(scores, small_models.scores[:1], atol=1e-5)
    again = runner_pack.runner_part("aarch64", ("tflite", "pte"), lines.append)
    assert again == other and len([line for line in lines if line.startswith("fetching Debian packages")]) <= 1
