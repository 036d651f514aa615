"""Building the ExecuTorch core: at first use, for a release, for another processor, and with the sanitizers."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.bare import BareEnvironment, build_wheel, pte_bundle
from support.native_models import CONV, DTYPES, DTYPES_SIGNATURE, SQUARE, NativeModels, random_inputs
from support.shared import Shared

from edgekit.devices.emulator import board
from edgekit.devices.payload import prebuilt, wheels
from edgekit.devices.payload.runner_pack import alignment_bytes
from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.engines import executorch, open_session
from edgekit.runtime.native import build, compilers
from edgekit.target import load_target

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ARCHITECTURES = tuple(compilers.ARCHITECTURES)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-O1", "-g")


def executorch_package() -> Path:
    package = native.executorch_package()
    assert package is not None
    return package


@pytest.fixture(scope="session", params=["zig", pytest.param("g++", marks=pytest.mark.system)])
def release(request: pytest.FixtureRequest) -> Path:
    """What the release command makes with either compiler: a folder for each processor."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("EDGEKIT_HOME", str(Shared.directory / "edgekit-home"))  # with the wheels of devices' tests
            if request.param == "zig":
                patched.setenv("PATH", "")
            found = [compilers.find(architecture) for architecture in ARCHITECTURES]
            assert all(compiler and request.param in Path(compiler.command[0]).name for compiler in found)
            prebuilt.main(["--into", str(folder)])

    return Shared.once(f"native-release-{request.param}", make)


@pytest.fixture(scope="session")
def arm_wheel() -> Path:
    """ExecuTorch's wheel for aarch64."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EDGEKIT_HOME", str(Shared.directory / "edgekit-home"))
        return wheels.obtain(wheels.find(f"executorch=={native.EXECUTORCH}", "3.11", "aarch64", "2.36"), print)


def machine_of(binary: Path) -> str:
    """The processor in an ELF header, as Linux calls it."""
    return {62: "x86_64", 183: "aarch64"}[int.from_bytes(binary.read_bytes()[18:20], "little")]


def run(command: list[str], environment: dict[str, str]) -> tuple[int, dict[str, object]]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


class Runner:
    """The command-line runner with files of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path):
        self.command, self.environment, self.folder = command, environment, folder

    def __call__(self, model: Path, inputs: list[np.ndarray], *options: str) -> tuple[int, dict[str, object]]:
        files = []
        for index, array in enumerate(inputs):
            files.append(self.folder / f"input_{index}.raw")
            files[-1].write_bytes(array.tobytes())
        given = ["--input", *map(str, files)] if files else []
        command = [*self.command, "--model", str(model), *given, "--output-dir", str(self.folder), *options]
        return run(command, self.environment)

    def output(self, index: int, dtype: str) -> np.ndarray:
        return np.fromfile(self.folder / f"output_{index}.raw", dtype)


@pytest.fixture
def runner(release: Path, tmp_path: Path) -> Runner:
    program = release / "x86_64" / native.RUNNER
    return Runner([str(program)], {"LD_LIBRARY_PATH": str(executorch_package() / "lib")}, tmp_path)


@pytest.fixture
def arm_runner(system: None, release: Path, arm_wheel: Path, tmp_path: Path) -> Runner:
    """The runner for aarch64 on an emulated Raspberry Pi 4, with the libraries beside it as a device gets them."""
    root, place = tmp_path / "root", tmp_path / "bin"
    board.write(load_target("rpi4"), root)
    (root / "lib").symlink_to("/usr/aarch64-linux-gnu/lib")
    shutil.copytree(release / "aarch64", place)
    with zipfile.ZipFile(arm_wheel) as archive:
        for name in native.EXECUTORCH_LIBRARIES:
            (place / name).write_bytes(archive.read(f"executorch/lib/{name}"))
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    assert emulator is not None, "apt install qemu-user-static"
    return Runner([emulator, "-cpu", "cortex-a72", "-L", str(root), str(place / native.RUNNER)], {}, tmp_path)


def test_a_release_has_library_and_runner_for_both_processors(release: Path) -> None:
    for architecture in ARCHITECTURES:
        for name in (native.LIBRARY, native.RUNNER):
            binary = release / architecture / name
            assert machine_of(binary) == architecture
            assert alignment_bytes(binary.read_bytes()) == 1 << 16  # the largest pages there are
            assert binary.stat().st_size < (500_000 if name == native.RUNNER else 250_000)
        assert (release / architecture / "key").read_text() == native.key(architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_library_runs_on_older_systems_than_executorchs_own(release: Path, architecture: str) -> None:
    data = (release / architecture / native.LIBRARY).read_bytes()
    assert newest(b"GLIBC", data) <= (2, 17)
    assert newest(b"GLIBCXX", data) <= (3, 4, 22)
    assert newest(b"GLIBC", (release / architecture / native.RUNNER).read_bytes()) <= (2, 34)


def newest(library: bytes, data: bytes) -> tuple[int, ...]:
    """The newest version of *library*'s symbols that a program or library asks for."""
    found = re.findall(rb"\0" + library + rb"_([\d.]+)(?=\0)", data)
    return max((tuple(map(int, text.split(b"."))) for text in found), default=(0,))


def test_the_runner_gives_what_the_library_gives(runner: Runner, native_models: NativeModels) -> None:
    inputs = random_inputs(DTYPES_SIGNATURE)
    status, document = runner(native_models.folder / "dtypes.pte", inputs, "--threads", "2", "--repeat", "3")
    assert status == 0
    assert document["threads"] == 2
    assert document["inputs"] == document["outputs"] == [{"dtype": dtype, "shape": [2, 3]} for dtype in DTYPES]
    elapsed = document["elapsed_ns"]
    assert isinstance(elapsed, list) and len(elapsed) == 3 and min(elapsed) > 0
    session = open_session("executorch", native_models["dtypes"], "pte", DTYPES_SIGNATURE, 1)
    for index, expected in enumerate(session.run(inputs)):
        np.testing.assert_array_equal(runner.output(index, expected.dtype.name), expected.ravel())
    session.close()


def test_the_runner_runs_a_method_and_keeps_a_trace(runner: Runner, native_models: NativeModels) -> None:
    trace = runner.folder / "events.etdp"
    code = np.array([1, 2, 3], np.float32)
    path = native_models.folder / "methods.pte"
    status, document = runner(path, [code], "--method", "decode", "--trace", str(trace))
    assert status == 0 and document["outputs"] == [{"dtype": "float32", "shape": [1, 4]}]
    np.testing.assert_array_equal(runner.output(0, "float32"), [2, 4, 6, 1])
    assert b"native_call_cat.out" in trace.read_bytes()


@pytest.mark.parametrize(
    ("file", "inputs", "options", "words"),
    [
        ("conv.pte", [], [], "the model takes 1 inputs, --input names 0"),
        ("conv.pte", [np.zeros(3, np.float32)], [], "input_0.raw has 12 bytes, input 0 takes 3072"),
        ("conv.pte", [], ["--threads", "none"], "--threads takes a number from 1 on"),
        ("conv.pte", [], ["--speed", "9"], "there is no option --speed"),
        ("methods.pte", [], [], "the file has no method 'forward', it has decode, encode"),
        ('no "such".pte', [], [], 'no "such".pte: No such file or directory'),
        ("images.npy", [], ["--engine", "executorch"], "Program identifier"),
        ("typed.tflite", [], [], "libLiteRt.so: cannot open shared object file"),
    ],
)
def test_the_runner_says_in_json_what_is_wrong(
    runner: Runner, native_models: NativeModels, file: str, inputs: list[np.ndarray], options: list[str], words: str
) -> None:
    status, document = runner(native_models.folder / file, inputs, *options)
    assert status == 1
    assert document.keys() == {"error"} and words in str(document["error"])


def test_on_an_emulated_pi_the_runner_gives_what_it_gives_here(
    runner: Runner, arm_runner: Runner, native_models: NativeModels
) -> None:
    images, scores = native_models.images, native_models.scores
    for file in ("conv.pte", "delegated.pte"):
        status, document = arm_runner(native_models.folder / file, [images[3:]], "--repeat", "2")
        assert status == 0, document
        there = arm_runner.output(0, "float32")
        runner(native_models.folder / file, [images[3:]])
        np.testing.assert_allclose(there, runner.output(0, "float32"), rtol=1e-5)
        np.testing.assert_allclose(there, scores[3], atol=1e-5)


def test_a_release_wheel_runs_a_model_without_torch_and_without_a_compiler(
    release: Path, native_models: NativeModels, tmp_path: Path
) -> None:
    images, scores = native_models.images, native_models.scores
    bundle = pte_bundle(native_models["delegated"], CONV, images, scores, tmp_path / "bare.edgekit")
    wheel = build_wheel(release, tmp_path)
    with zipfile.ZipFile(wheel) as archive:  # what pip makes executable
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert modes[f"edgekit/runtime/native/lib/x86_64/{native.RUNNER}"] & 0o111 == 0o111
    environment = BareEnvironment(wheel, tmp_path)
    program = """
import sys, numpy, edgekit
with edgekit.load(sys.argv[1]) as model:
    print(model.engine, model(numpy.load(sys.argv[2])[:1]).tolist())
print("torch" in sys.modules, any("native/lib/x86_64/libedgekit" in line for line in open("/proc/self/maps")))
"""
    engine, outputs = environment.run(program, str(bundle), str(native_models.folder / "images.npy")).split(" ", 1)
    values, facts = outputs.splitlines()
    assert (engine, facts) == ("executorch", "False True")
    np.testing.assert_allclose(json.loads(values), scores[:1], atol=1e-6)


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(native, "prebuilt", lambda architecture: None)


@pytest.mark.system
def test_two_processes_build_the_core_once(tmp_path: Path) -> None:
    """A compiler that keeps count stands before the real one."""
    counted, real = tmp_path / "count", shutil.which("g++")
    wrapper = tmp_path / "counting-g++"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {counted}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    program = "from edgekit.runtime import native; native.prebuilt = lambda _: None\n"
    program += "from edgekit.runtime.native.build import build_here; print(build_here())"
    environment = {**os.environ, "EDGEKIT_HOME": str(tmp_path / "home"), "CXX": str(wrapper)}
    command = [sys.executable, "-c", program]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)
    ]
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers[0] == answers[1] and Path(answers[0]).exists()
    assert sum("core.cpp" in line for line in counted.read_text().splitlines()) == 1
    (kept,) = (tmp_path / "home" / "native").iterdir()
    name = Path(native.LIBRARY).stem
    assert kept.name == native.key("x86_64") and {path.name for path in kept.iterdir()} == {
        name,
        f"{name}.seal",
        "lock",
    }


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compilers, "package_folders", lambda name: [])


@pytest.mark.usefixtures("nothing_built", "no_compiler")
def test_without_a_compiler_torchs_binding_does_it(native_models: NativeModels) -> None:
    assert "no C++ compiler" in str(native.why_not())
    assert executorch.ENGINE.install_hint == native.why_not()
    assert executorch.ENGINE.version() is not None
    session = open_session("executorch", native_models["conv"], "pte", CONV, 1)
    assert isinstance(session, executorch.BindingSession)
    np.testing.assert_allclose(session.run([native_models.images[:1]])[0], native_models.scores[:1], atol=1e-6)
    session.close()


@pytest.mark.usefixtures("nothing_built")
def test_with_a_compiler_that_fails_the_reason_is_its_error(
    native_models: NativeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken-g++"
    broken.write_text("#!/bin/sh\necho 'core.cpp:1: error: no such header' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert native.why_not() is None, "nothing is known to be missing until it is tried"
    without_torch(monkeypatch)
    with pytest.raises(EdgekitError, match=r"does not build: core\.cpp:1: error: no such header") as caught:
        open_session("executorch", native_models["conv"], "pte", CONV, 1)
    assert caught.value.code == "EK-ENGINE"
    assert [path.name for path in (tmp_path / "home" / "native").glob("*/*")] == ["lock"]


def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executorch, "package_version", lambda name: None)


@pytest.mark.usefixtures("nothing_built", "no_compiler")
def test_without_torch_and_without_a_compiler_the_engine_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    without_torch(monkeypatch)
    with pytest.raises(EdgekitError) as caught:
        open_session("executorch", b"", "pte", SQUARE, 1)
    assert caught.value.code == "EK-ENGINE"
    assert caught.value.hint == (
        "this edgekit brings no built core, and there is no C++ compiler to build it: "
        "pip install 'edgekit[native]', or apt install g++"
    )


@pytest.mark.usefixtures("nothing_built")
def test_another_version_of_executorch_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "executorch"
    (package / "lib").mkdir(parents=True)
    (package / "version.py").write_text('__version__ = "1.6.0+cpu"\n')
    monkeypatch.setattr(native, "executorch_package", lambda: package)
    assert native.why_not() == "executorch 1.6.0 is installed, edgekit's core needs exactly 1.5.1"
    with pytest.raises(EdgekitError, match=r"executorch 1\.6\.0, the core needs 1\.5\.1") as caught:
        build.build_library("x86_64", package, tmp_path / "out")
    assert caught.value.code == "EK-ENGINE"


@pytest.mark.usefixtures("nothing_built")
def test_without_executorch_the_one_package_it_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "package_folders", lambda name: [])
    assert native.why_not() == "the executorch package is not installed: pip install --no-deps executorch==1.5.1"


def test_a_core_of_other_sources_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "x86_64"
    folder.mkdir(parents=True)
    (folder / native.LIBRARY).touch()
    monkeypatch.setattr(native, "_HERE", tmp_path)
    (folder / "key").write_text(native.key("x86_64"))
    assert native.prebuilt("x86_64") == folder
    (folder / "key").write_text("x86_64-0123456789abcdef")
    assert native.prebuilt("x86_64") is None


def test_what_the_user_names_comes_first_then_the_machines_compiler_then_ziglang(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def first(architecture: str) -> str:
        compiler = compilers.find(architecture)
        assert compiler is not None
        return Path(compiler.command[0]).name

    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert first(platform.machine()) == first(other) == "zig"
    for name in ("g++", f"{other}-linux-gnu-g++", "my-g++"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert (first(platform.machine()), first(other)) == ("g++", f"{other}-linux-gnu-g++")
    monkeypatch.setenv("CXX", "my-g++")
    assert (first(platform.machine()), first(other)) == ("my-g++", f"{other}-linux-gnu-g++")


@pytest.mark.usefixtures("nothing_built")
def test_a_core_that_somebody_changed_is_not_used_and_nothing_else_in_its_place(native_models: NativeModels) -> None:
    core = build.build_here()
    core.write_bytes(core.read_bytes()[:-1] + b"x")
    for use in (build.build_here, lambda: open_session("executorch", native_models["conv"], "pte", CONV, 1)):
        with pytest.raises(EdgekitError, match="is not as edgekit left it") as caught:
            use()
        assert str(core.parent) in f"{caught.value.message} {caught.value.hint}"
    assert "is not as edgekit left it" in str(native.why_not())
    shutil.rmtree(core.parent)
    assert build.build_here() == core
    open_session("executorch", native_models["conv"], "pte", CONV, 1).close()


def test_the_environment_variable_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / native.LIBRARY).touch()
    monkeypatch.setenv("EDGEKIT_NATIVE", str(tmp_path))
    assert native.library() == tmp_path / native.LIBRARY


@pytest.mark.parametrize("first", ["core", "binding"])
def test_core_and_binding_share_a_process(native_models: NativeModels, first: str) -> None:
    """Also with ``executorch.kernels.quantized``, which brings operators that the core brings too."""
    program = """
import sys
import numpy
from edgekit.runtime.engines import executorch
from support.native_models import CONV
def core():
    session = executorch.ENGINE.open(data, CONV, 1)
    assert isinstance(session, executorch.CoreSession)
    return session
def binding():
    import executorch.kernels.quantized
    return executorch_binding(data, CONV, 1, "forward")
executorch_binding = executorch.BindingSession
data, images = open(sys.argv[1], "rb").read(), numpy.load(sys.argv[2])
order = [core, binding] if sys.argv[3] == "core" else [binding, core]
sessions = [make() for make in order]
outputs = [session.run([image[None]])[0].tolist() for image in images for session in (*sessions, sessions[0])]
assert outputs[0::3] == outputs[1::3] == outputs[2::3]
"""
    folder = native_models.folder
    command = [sys.executable, "-W", "ignore", "-c", program, str(folder / "conv.pte"), str(folder / "images.npy")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    done = subprocess.run([*command, first], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "register_pal" not in done.stderr


@pytest.mark.system
def test_the_sanitizers_find_nothing(
    native_models: NativeModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core's own tests once more, with a core that stops at wrong memory accesses and undefined behaviour."""
    monkeypatch.setattr(build, "_FLAGS", (*build._FLAGS, *SANITIZERS))
    monkeypatch.setattr(build, "_LINKING", (*SANITIZERS, *build._LINKING[1:]))  # with symbols
    build.build_library("x86_64", executorch_package(), tmp_path / "sanitized")
    compiler = compilers.find("x86_64")
    assert compiler is not None
    preloaded = [compiler.library(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    environment = {
        **os.environ,
        "EDGEKIT_NATIVE": str(tmp_path / "sanitized"),
        "EDGEKIT_TEST_NATIVE_MODELS": str(native_models.folder),
        "LD_PRELOAD": " ".join(map(str, preloaded)),
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={tmp_path}/report",  # the leaks are Python's own
        "UBSAN_OPTIONS": f"log_path={tmp_path}/report",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(ROOT / "tests" / "runtime" / "test_native_core.py")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    reports = "".join(path.read_text() for path in tmp_path.glob("report*"))
    assert done.returncode == 0, reports[:4000] + done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
