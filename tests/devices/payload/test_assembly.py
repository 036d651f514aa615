"""What a device is sent: which parts, how large, and what is said when it cannot be."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from small_models import SmallModels
from support.bundles import as_exported, only
from support.shared import Shared

from edgekit.bundle import Bundle
from edgekit.devices.emulator import guest, qemu
from edgekit.devices.payload import assembly, core, part
from edgekit.devices.payload.part import Entry, Part
from edgekit.digests import sha256
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime import native
from edgekit.runtime.machine import Machine
from edgekit.runtime.native import compilers
from edgekit.target import load_target

#: A Raspberry Pi 4 with Raspberry Pi OS 12, as far as the payload is concerned.
PI = Machine(
    board="Raspberry Pi 4 Model B Rev 1.4",
    architecture="aarch64",
    kernel_architecture="aarch64",
    cpu="cortex-a72",
    cores=4,
    features=("neon",),
    memory_bytes=4 << 30,
    os="Debian GNU/Linux 12 (bookworm)",
    python="3.11.2",
    glibc="2.36",
    page_bytes=4096,
)
PI_32_BIT = dataclasses.replace(PI, architecture="armv7l")


def quiet(line: str) -> None:
    pass


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return [member.name for member in opened if member.isfile()]


@pytest.fixture(autouse=True, scope="module")
def home(fetched: Path) -> Iterator[None]:
    """What is fetched and packed here, other tests of devices find there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(fetched))
        yield


@pytest.fixture(scope="module")
def sent() -> dict[str, Part]:
    """Everything for a Raspberry Pi 4 and a bundle with .tflite and .pte, by the parts' names without versions."""
    parts = assembly.parts_for(PI, ("tflite", "pte"), log=quiet)
    return {made.name.rpartition("-")[0]: made for made in parts}


def test_a_raspberry_pi_4_is_sent_little(sent: dict[str, Part]) -> None:
    assert list(sent) == ["edgekit", "edgekit-runner", "click", "numpy", "ai-edge-litert", "executorch"]
    sizes = {name: made.size_bytes for name, made in sent.items()}
    assert sum(sizes.values()) < 45e6
    assert sizes["edgekit"] + sizes["click"] + sizes["executorch"] < 6e6
    for made in sent.values():
        assert made.archive.stat().st_size == made.size_bytes
        assert sha256(made.archive.read_bytes()) == made.digest
        with tarfile.open(made.archive) as archive:
            members = archive.getmembers()
        assert made.unpacked_bytes == sum(member.size for member in members)
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {(0, 0, "", 0)}
        assert {member.mode for member in members} <= {0o644, 0o755}


def test_a_second_time_nothing_is_made(sent: dict[str, Part]) -> None:
    lines: list[str] = []
    before = {made.archive: made.archive.stat().st_mtime_ns for made in sent.values()}
    again = assembly.parts_for(PI, ("tflite", "pte"), log=lines.append, download=False)
    assert again == tuple(sent.values())
    assert lines == []
    assert {made.archive: made.archive.stat().st_mtime_ns for made in again} == before


def test_a_bundle_takes_the_parts_of_its_formats(sent: dict[str, Part], small_bundle: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        assert {entry.format for entry in bundle.manifest.variants} == {"tflite", "pte"}
        parts = assembly.parts_for(PI, assembly.formats_of(bundle.manifest), log=quiet)
    assert [made.name for made in parts] == [made.name for made in sent.values()]
    alone = assembly.parts_for(PI, ["pte"], log=quiet)
    assert [made.name for made in alone] == [
        made.name for name, made in sent.items() if "litert" not in name and "runner" not in name
    ]


def test_files_that_only_apps_run_are_sent_no_engine(small_bundle: Path, tmp_path: Path) -> None:
    exported = as_exported(small_bundle, "fp32.pte", "vulkan", tmp_path / "gpu.edgekit")
    with Bundle.open(only(exported, ("fp32.pte", "fp32.tflite"), tmp_path / "both.edgekit")) as bundle:
        assert assembly.formats_of(bundle.manifest) == ("tflite",)
    with (
        Bundle.open(only(exported, ("fp32.pte",), tmp_path / "alone.edgekit")) as bundle,
        pytest.raises(DeviceError, match="for apps only"),
    ):
        assembly.formats_of(bundle.manifest)


def test_what_no_device_needs_stays_here(sent: dict[str, Part]) -> None:
    numpy = names(sent["numpy"].archive)
    assert "numpy/linalg/__init__.py" in numpy
    assert not [name for name in numpy if "/tests/" in name or name.endswith((".pyi", ".h", ".a")) or "/f2py/" in name]
    litert = names(sent["ai-edge-litert"].archive)
    assert "ai_edge_litert/interpreter.py" in litert and "ai_edge_litert/libLiteRt.so" in litert
    assert not [name for name in litert if "WebGpu" in name or "/tools/" in name or "/vendors/" in name]


def test_licences_travel(sent: dict[str, Part]) -> None:
    for name, licence in {
        "edgekit": "LICENSE",
        "edgekit-runner": "LICENSE",
        "click": "click-8.5.1.dist-info/licenses/LICENSE.txt",
        "numpy": "numpy-2.4.6.dist-info/licenses/numpy/fft/pocketfft/LICENSE.md",
        "ai-edge-litert": "ai_edge_litert-2.3.0.dist-info/licenses/LICENSE",
        "executorch": "NOTICE.executorch",
    }.items():
        assert licence in names(sent[name].archive)
    assert {"LICENSE.executorch", "LICENSE.apache-2.0"} <= set(names(sent["executorch"].archive))
    with tarfile.open(sent["executorch"].archive) as archive:
        notice = archive.extractfile("NOTICE.executorch")
        assert notice is not None
        text = notice.read().decode()
    for third_party in ("XNNPACK", "pthreadpool", "cpuinfo", "FP16", "FXdiv", "Eigen", "KleidiAI", "flatcc", "PyTorch"):
        assert third_party in text


def test_executorch_is_the_core_and_its_libraries(sent: dict[str, Part]) -> None:
    made = sent["executorch"]
    libraries = {name for name in names(made.archive) if name.endswith(".so")}
    assert libraries == {native.LIBRARY, *native.EXECUTORCH_LIBRARIES}
    with tarfile.open(made.archive) as archive:
        for name in libraries:
            library = archive.extractfile(name)
            assert library is not None
            header = library.read(20)
            assert header[:4] == b"\x7fELF" and header[18:20] == (183).to_bytes(2, "little")  # EM_AARCH64


def test_variables_lead_to_the_parts(sent: dict[str, Part]) -> None:
    variables = part.environment(sent.values(), lambda made: f"/parts/{made.name}")
    assert variables == {
        "PYTHONPATH": "/parts/edgekit-0.1.0:/parts/click-8.5.1:/parts/numpy-2.4.6:/parts/ai-edge-litert-2.3.0",
        "EDGEKIT_NATIVE": "/parts/edgekit-runner-0.1.0:/parts/executorch-1.5.1",
    }


def test_edgekit_alone_is_its_device_side(sent: dict[str, Part], small_bundle: Path, tmp_path: Path) -> None:
    for name in ("edgekit", "click"):
        sent[name].unpack(tmp_path)
    assert not (tmp_path / "edgekit/pipeline").exists()
    assert not list(tmp_path.rglob("*.cpp")) and not list(tmp_path.rglob("*.so"))

    def edgekit(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Not what is installed for this Python, but its numpy: an editable install would hide what is missing.
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from edgekit.cli.main import main; main()"
        command = [sys.executable, "-I", "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert "fp32.tflite" in edgekit("inspect", str(small_bundle)).stdout
    assert "rpi4" in edgekit("targets").stdout
    build = edgekit("build", "project", "--target", "rpi4")
    assert build.returncode == 1 and "use this verb on a desktop" in build.stderr
    assert "EK-MISSING-PACKAGE" in build.stderr and "Traceback" not in build.stderr


@pytest.fixture(scope="module")
def on_a_board(system: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs arm64 Python, with nothing installed for it, on an emulated Raspberry Pi 4 that has the parts."""
    system = guest.SYSTEMS["aarch64"]
    Shared.once("emulator", lambda _: guest.set_up(system, quiet))
    emulated = guest.Guest(system, guest.unpack(system, quiet), load_target("rpi4"), tmp_path_factory.mktemp("board"))
    program = [qemu.require("aarch64").program, "-cpu", "cortex-a72"]

    def run(*arguments: str) -> str:
        command = emulated.command(program, *arguments)
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def test_what_was_left_out_of_numpy_is_not_missed(on_a_board: Callable[..., str]) -> None:
    code = """
import sys, numpy as np
import numpy.fft, numpy.linalg, numpy.ma, numpy.polynomial, numpy.random, numpy.testing, numpy.typing
a = np.random.default_rng(0).normal(size=(8, 8))
np.testing.assert_allclose(np.linalg.inv(a) @ a, np.eye(8), atol=1e-9)
np.testing.assert_allclose(np.fft.ifft(np.fft.fft(a)).real, a, atol=1e-12)
print(sys.modules.keys() >= {"numpy.fft", "numpy.ma"}, np.__version__)
"""
    assert on_a_board("-c", code).split() == ["True", "2.4.6"]


@pytest.mark.parametrize(("variant", "engine"), [("fp32.tflite", "litert"), ("fp32.pte", "executorch")])
def test_a_board_runs_its_bundle(
    variant: str,
    engine: str,
    on_a_board: Callable[..., str],
    small_bundle: Path,
    small_models: SmallModels,
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "image.npy", small_models.images[:1])
    code = """
import sys, edgekit, numpy as np
bundle, variant, image, scores = sys.argv[1:]
with edgekit.load(bundle, variant=variant) as model:
    np.save(scores, model(np.load(image)))
    print(model.variant, model.engine)
"""
    paths = (str(tmp_path / "image.npy"), str(tmp_path / "scores.npy"))
    assert on_a_board("-c", code, str(small_bundle), variant, *paths).split() == [variant, engine]
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), small_models.scores[:1], atol=1e-5)


def test_an_old_system_gets_what_runs_there() -> None:
    lines: list[str] = []
    machine = dataclasses.replace(PI, glibc="2.31")
    assembly.parts_for(machine, ["pte"], log=quiet)
    parts = assembly.parts_for(machine, ("tflite", "pte"), log=lines.append)
    assert [made.name for made in parts][-1] == "executorch-1.5.1"
    assert not [made for made in parts if "litert" in made.name]
    assert lines == [
        "not everything in the bundle will run there: ai-edge-litert 2.3.0 needs glibc 2.34, the device has 2.31"
    ]


@pytest.mark.parametrize(
    ("machine", "formats", "numpy", "message"),
    [
        (dataclasses.replace(PI, glibc="2.31"), ["tflite"], None, "ai-edge-litert 2.3.0 needs glibc 2.34"),
        (dataclasses.replace(PI, python=None), ["ptl"], None, r"edgekit's runner takes \.tflite and \.pte files only"),
        (PI, ["ptl"], None, "no engine for .ptl files is sent to devices: they need all"),
        (PI, ["pt2"], None, "no engine for .pt2 files is sent to devices: it runs on desktops"),
        (PI_32_BIT, ["pte"], "1.24.2", "there is no executorch 1.5.1 for armv7l"),
        (PI_32_BIT, ["tflite"], None, "the device has no numpy"),
        (PI_32_BIT, ["tflite"], "2.2.4", "numpy 2.2.4, with which tflite-runtime fails"),
        (
            dataclasses.replace(PI_32_BIT, python="3.13.5"),
            ["tflite"],
            "1.24.2",
            "tflite-runtime 2.14.0 for Python 3.13",
        ),
        (dataclasses.replace(PI_32_BIT, python=None), ["pte"], None, "there is no runner for armv7l, only for aarch64"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    machine: Machine,
    formats: list[str],
    numpy: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    with pytest.raises(DeviceError, match=message) as caught:
        assembly.parts_for(machine, formats, system_numpy=numpy, log=quiet, download=False)
    assert caught.value.code == "EK-DEVICE" and caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
@pytest.mark.parametrize("lacking", [{"python": None}, {"python": "3.9.2"}, {"glibc": None}])
def test_a_board_without_a_python_that_fits_gets_a_runner_for_its_formats(lacking: dict[str, str | None]) -> None:
    machine, lines = dataclasses.replace(PI, page_bytes=16384, **lacking), list[str]()  # type: ignore[arg-type]
    (part,) = assembly.parts_for(machine, ("tflite", "pte", "ptl"), log=lines.append)
    assert part.runner and part.name == "edgekit-runner-executorch-1.5.1-litert-2.3.0"
    assert lines[0].startswith("the device has ") and lines[0].endswith(": it gets a runner of its own")
    assert [assembly.why_not(format, machine) for format in ("tflite", "pte")] == [None, None]
    assert "edgekit's runner takes .tflite and .pte files only" in str(assembly.why_not("ptl", machine))
    with pytest.raises(DeviceError, match=r"is laid out for pages of 64 KiB, the device's have 2048 KiB"):
        assembly.parts_for(dataclasses.replace(machine, page_bytes=2 << 20), ["pte"], log=quiet)


def test_a_32_bit_board_gets_tflite_runtime_for_its_own_numpy() -> None:
    lines: list[str] = []
    parts = assembly.parts_for(PI_32_BIT, ("tflite", "pte"), system_numpy="1.24.2", log=lines.append)
    assert [made.name.rpartition("-")[0] for made in parts] == ["edgekit", "click", "tflite-runtime"]
    assert sum(made.size_bytes for made in parts) < 3e6
    assert "there is no executorch 1.5.1 for armv7l" in lines[0]
    assert "tflite_runtime-2.14.0.dist-info/LICENSE.apache-2.0" in names(parts[-1].archive)


def test_no_core_and_no_compiler_is_said_before_a_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    monkeypatch.setattr(compilers, "find", lambda architecture: None)
    monkeypatch.setattr(native, "prebuilt", lambda architecture: None)
    lines: list[str] = []
    assert core.runner_part("aarch64", lines.append) is None, "Python there runs models all the same"
    assert lines.pop().startswith("operators of .tflite files cannot be traced there: ")
    with pytest.raises(EdgekitError, match="no runner for aarch64") as caught:
        assembly.parts_for(dataclasses.replace(PI, python=None), ["pte"], log=lines.append)
    assert caught.value.code == "EK-MISSING-PACKAGE"
    assert caught.value.hint == "pip install 'edgekit[native]', or apt install g++-aarch64-linux-gnu"
    assert not [line for line in lines if "fetching" in line]


class TestPart:
    ENTRIES = (Entry("a/b/run", b"#!/bin/sh\n", executable=True), Entry("a/data", b"x" * 100), Entry("z", b""))

    @pytest.fixture
    def make(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Part]:
        monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
        return lambda key: part.make_part("small-1.0", key, lambda: self.ENTRIES)

    def test_the_same_entries_give_the_same_bytes(self, make: Callable[[str], Part]) -> None:
        first, second = make("one key"), make("another key")
        assert first.archive != second.archive
        assert first.digest == second.digest
        with tarfile.open(first.archive) as archive:
            found = [(member.name, member.isdir(), member.mode) for member in archive]
        assert found == [
            ("a", True, 0o755),
            ("a/b", True, 0o755),
            ("a/b/run", False, 0o755),
            ("a/data", False, 0o644),
            ("z", False, 0o644),
        ]
        assert first.unpacked_bytes == 110

    def test_packing_is_said_when_it_happens(self, make: Callable[[str], Part]) -> None:
        lines: list[str] = []
        for _ in range(2):
            part.make_part("small-2.0", "key", lambda: self.ENTRIES, log=lines.append)
        assert lines == ["packing small-2.0"]

    def test_a_damaged_archive_is_made_again(self, make: Callable[[str], Part]) -> None:
        good = make("key")
        with good.archive.open("r+b") as file:
            file.truncate(good.size_bytes // 2)
        assert make("key") == good
        assert sha256(good.archive.read_bytes()) == good.digest

    def test_an_archive_without_its_note_is_made_again(self, make: Callable[[str], Part]) -> None:
        good = make("key")
        (note,) = good.archive.parent.glob("*.json")
        note.write_text("{")
        assert make("key") == good

    def test_a_full_disk_is_said(self, make: Callable[[str], Part], monkeypatch: pytest.MonkeyPatch) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(EdgekitError) as caught:
            make("key")
        assert caught.value.code == "EK-SPACE"
