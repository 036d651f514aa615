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

from edgekit.devices import runner_pack
from edgekit.devices.emulator import board
from edgekit.devices.part import Part
from edgekit.runtime import native
from edgekit.runtime.engines import open_session
from edgekit.target import load_target


def quiet(line: str) -> None:
    pass


class Jail:
    """A root directory with the unpacked runner in ``/pack``, what a Raspberry Pi's kernel shows, and qemu."""

    def __init__(self, root: Path, part: Part):
        self.root = root
        with tarfile.open(part.archive) as archive:
            archive.extractall(root / "pack", filter="data")
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
            command, env={"PATH": "/usr/sbin:/usr/bin"}, capture_output=True, text=True, check=False
        )
        assert result.stdout, result.stderr
        return result.returncode, json.loads(result.stdout)

    def outputs(self, model: bytes, inputs: Sequence[np.ndarray], *options: str) -> list[np.ndarray]:
        (self.root / "tmp/model.pte").write_bytes(model)
        files = [f"/tmp/in_{index}.raw" for index in range(len(inputs))]
        for file, array in zip(files, inputs, strict=True):
            array.tofile(self.root / file[1:])
        code, answer = self.run("--model", "/tmp/model.pte", "--input", *files, "--output-dir", "/tmp", *options)
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
def pack() -> Part:
    return runner_pack.runner_part("aarch64", quiet)


@pytest.fixture(scope="module")
def jail(pack: Part, tmp_path_factory: pytest.TempPathFactory) -> Jail:
    return Jail(tmp_path_factory.mktemp("jail"), pack)


def test_it_is_small_and_brings_its_licences(pack: Part) -> None:
    assert pack.size_bytes < 6e6
    assert (pack.runner, pack.python_paths, pack.native_path) == ("run.sh", (), None)
    with tarfile.open(pack.archive) as archive:
        modes = {member.name: member.mode for member in archive}
    assert {name for name, mode in modes.items() if mode == 0o755} == {
        "run.sh",
        "edgekit-runner",
        "ld-linux-aarch64.so.1",
    }
    notices = {"NOTICE.executorch", "NOTICE.runtime-libraries", "LICENSE.executorch", "LICENSE.lgpl-2.1"}
    assert notices | {"LICENSE.gpl-3", "LICENSE.apache-2.0"} <= modes.keys()


@pytest.mark.parametrize("name", ["image.pte", "plain.pte"])
def test_a_model_runs_with_nothing_else_there(jail: Jail, small_models: SmallModels, name: str) -> None:
    image = small_models.images[3:4]
    (scores,) = jail.outputs(small_models.files[name], [image], "--threads", "2", "--repeat", "3")
    here = open_session("executorch", small_models.files[name], "pte", IMAGE, 1)
    np.testing.assert_allclose(scores, here.run([image])[0], rtol=1e-5, atol=1e-6)
    here.close()


def test_several_inputs_and_outputs(jail: Jail, small_models: SmallModels) -> None:
    outputs = jail.outputs(small_models.files["pair.pte"], small_models.pair_inputs)
    assert [output.shape for output in outputs] == [spec.shape for spec in PAIR.outputs]
    for output, expected in zip(outputs, small_models.pair_outputs, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-6)


def test_a_wrong_file_is_said(jail: Jail) -> None:
    (jail.root / "tmp/wrong.pte").write_bytes(b"rubbish" * 100)
    code, answer = jail.run("--model", "/tmp/wrong.pte", "--output-dir", "/tmp")
    assert code == 1 and answer["error"]


def test_its_script_starts_it_on_a_real_machine(small_models: SmallModels, tmp_path: Path) -> None:
    pack = runner_pack.runner_part(platform.machine(), quiet)
    with tarfile.open(pack.archive) as archive:
        archive.extractall(tmp_path / "a folder", filter="data")
    (tmp_path / "model.pte").write_bytes(small_models.files["image.pte"])
    small_models.images[:1].tofile(tmp_path / "in.raw")
    command = ["a folder/run.sh", "--model", "model.pte", "--input", "in.raw", "--output-dir", "."]
    subprocess.run(command, cwd=tmp_path, env={"PATH": os.defpath}, capture_output=True, check=True)
    scores = np.fromfile(tmp_path / "output_0.raw", "float32")
    np.testing.assert_allclose(scores, small_models.scores[0], atol=1e-5)


def test_without_a_compiler_its_libraries_are_debians(
    pack: Part, small_models: SmallModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native, "compiler", lambda architecture: None)
    lines: list[str] = []
    other = runner_pack.runner_part("aarch64", lines.append)
    assert abs(other.size_bytes - pack.size_bytes) < 1e6
    (scores,) = Jail(tmp_path, other).outputs(small_models.files["image.pte"], [small_models.images[:1]])
    np.testing.assert_allclose(scores, small_models.scores[:1], atol=1e-5)
    again = runner_pack.runner_part("aarch64", lines.append)
    assert again == other and len([line for line in lines if line.startswith("fetching Debian packages")]) <= 1
