"""What `edgekit integrate` writes: the right files, which their languages' grammars understand, or a refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from integration.conftest import changed, with_variant, write_starter
from support.bundles import only
from support.figures import not_run
from support.sources import faults, node, script_faults, sources

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.errors import EdgekitError, UsageError
from edgekit.integration import integrate
from edgekit.tensors import Signature, TensorSpec

NATIVE = {"android": (".kt", ".kts"), "ios": (".swift",), "flutter": (".dart",)}
SCRIPTS = ("react-native", "web")
BOTH_FORMATS = ("android", "ios", "react-native")
GRID = [
    (platform, variant)
    for platform in (*NATIVE, *SCRIPTS)
    for variant in ("fp32.tflite", "fp32.pte")
    if variant.endswith("tflite") or platform in BOTH_FORMATS
]


def source_faults(platform: str, folder: Path) -> list[str]:
    if platform in SCRIPTS:
        return script_faults(sources(folder, ".js"))
    return [fault for path in sources(folder, *NATIVE[platform]) for fault in faults(path)]


def check_starter(bundle: Path, platform: str, variant: str, folder: Path) -> None:
    write_starter(bundle, platform, folder, variant)
    assert source_faults(platform, folder) == []
    with Bundle.open(bundle) as opened:
        entry = opened.manifest.variant(variant)
        (model,) = folder.rglob(f"model.{entry.format}")
        assert model.read_bytes() == opened.read(entry.file)
        inputs, outputs = opened.check_vectors()
    for check in folder.rglob("check.bin"):
        arrays = [*inputs.values(), *outputs.values()]
        samples = (b"".join(array[index].tobytes() for array in arrays) for index in range(len(arrays[0])))
        assert check.read_bytes() in set(samples)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert variant in readme
    assert "$" not in readme


@pytest.mark.parametrize(("platform", "variant"), GRID)
def test_a_starter_for_pictures(small_bundle: Path, platform: str, variant: str, tmp_path: Path) -> None:
    check_starter(small_bundle, platform, variant, tmp_path)
    (labels,) = tmp_path.rglob("labels.txt")
    assert labels.read_text(encoding="utf-8").split() == ["east", "north", "south", "west"]


@pytest.mark.parametrize(("platform", "variant"), GRID)
def test_a_starter_for_several_inputs(pair_bundle: Path, platform: str, variant: str, tmp_path: Path) -> None:
    check_starter(pair_bundle, platform, variant, tmp_path)
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "left" in readme and "right" in readme
    assert not list(tmp_path.rglob("ImageInput.*")) and not list(tmp_path.rglob("image_input.*"))


@pytest.mark.slow
@pytest.mark.parametrize(("platform", "variant"), GRID)
def test_a_starter_for_series_and_for_photographs(
    series_bundle: Path, picture_bundle: Path, platform: str, variant: str, tmp_path: Path
) -> None:
    check_starter(series_bundle, platform, variant, tmp_path / "series")
    assert "[40, 6]" in (tmp_path / "series" / "README.md").read_text(encoding="utf-8")
    check_starter(picture_bundle, platform, variant, tmp_path / "picture")


def test_the_grammars_find_what_is_wrong(small_bundle: Path, tmp_path: Path) -> None:
    for platform in ("android", "ios", "flutter", "web"):
        folder = write_starter(small_bundle, platform, tmp_path / platform)
        (path,) = (each for each in sources(folder, ".kt", ".swift", ".dart", ".js") if each.stem in PROCESSING)
        before, _, after = path.read_text(encoding="utf-8").rpartition("(")
        path.write_text(before + after, encoding="utf-8")
        assert source_faults(platform, folder), platform


PROCESSING = ("Processing", "processing")


def test_coordinates_are_pinned_and_follow_the_backend(small_bundle: Path, tmp_path: Path) -> None:
    gradle = "app/build.gradle.kts"

    def coordinates(bundle: Path, platform: str, file: str, variant: str) -> str:
        folder = write_starter(bundle, platform, tmp_path / str(len(list(tmp_path.iterdir()))), variant)
        return (folder / file).read_text(encoding="utf-8")

    assert "com.google.ai.edge.litert:litert:2.3.0" in coordinates(small_bundle, "android", gradle, "fp32.tflite")
    assert '"org.pytorch:executorch-android:1.5.1"' in coordinates(small_bundle, "android", gradle, "fp32.pte")
    assert "swiftpm-1.5.0" in coordinates(small_bundle, "ios", "Package.swift", "fp32.pte")
    for backend, platform, file, expected in (
        ("vulkan", "android", gradle, '"org.pytorch:executorch-android-vulkan:1.5.1"'),
        ("coreml", "ios", "Package.swift", '"backend_coreml"'),
    ):
        bundle = with_variant(small_bundle, tmp_path / f"{backend}.edgekit", "fp32.pte", backend=backend)
        text = coordinates(bundle, platform, file, "fp32.pte")
        assert expected in text and "backend_xnnpack" not in text


@pytest.mark.parametrize("platform", ["android", "ios", "react-native", "flutter", "web"])
def test_the_file_for_a_gpu_is_that_for_the_cpu(small_bundle: Path, platform: str, tmp_path: Path) -> None:
    """As ``--target android-gpu`` builds it."""
    path = with_variant(small_bundle, tmp_path / "gpu.edgekit", "fp32.tflite", backend="gpu")
    with Bundle.open(path) as bundle:
        assert integrate(bundle, platform, tmp_path / "app", "fp32.tflite").variant == "fp32.tflite"


def test_what_nothing_here_ran_says_so(small_bundle: Path, tmp_path: Path) -> None:
    facts = {"backend": "coreml", **not_run()}
    bundle = with_variant(small_bundle, tmp_path / "coreml.edgekit", "fp32.pte", **facts)
    folder = write_starter(bundle, "ios", tmp_path / "starter", "fp32.pte")
    assert "has never run" in (folder / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "starter").is_dir()
    # Something that was checked comes first.
    assert "has never run" not in (write_starter(bundle, "ios", tmp_path / "checked") / "README.md").read_text()


@pytest.mark.parametrize(
    ("outputs", "training", "logits"),
    [
        ("logits", {"loss": "cross-entropy"}, True),
        ("probabilities", {"loss": "cross-entropy"}, False),
        ("logits", {"loss": "mse"}, False),
        ("logits", None, False),
    ],
)
def test_a_softmax_where_the_outputs_are_known_to_be_logits(
    small_bundle: Path, outputs: str, training: object, logits: bool, tmp_path: Path
) -> None:
    import io

    with Bundle.open(small_bundle) as opened:
        manifest = opened.manifest
        files = {name: opened.read(name) for name in manifest.files}
        (scores,) = opened.check_vectors()[1].values()
    if outputs == "probabilities":
        powers = np.exp(scores)
        stream = io.BytesIO()
        np.save(stream, (powers / powers.sum(1, keepdims=True)).astype(np.float32))
        files["checks/output_0.npy"] = stream.getvalue()
    from edgekit.bundle import write_bundle

    write_bundle(replace(manifest, source={"training": training}), files, tmp_path / "it.edgekit")
    folder = write_starter(tmp_path / "it.edgekit", "web", tmp_path / "starter")
    script = "import { SCORES_ARE_LOGITS } from './spec.js'; console.log(SCORES_ARE_LOGITS)"
    assert node(folder, script) is logits


def refusal(bundle: Path, platform: str, folder: Path, variant: str | None = None) -> EdgekitError:
    with Bundle.open(bundle) as opened, pytest.raises(EdgekitError) as caught:
        integrate(opened, platform, folder, variant)
    assert not (folder / "README.md").exists()
    assert "\n" not in caught.value.message
    return caught.value


def test_refusals(small_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "starter"
    unknown = refusal(small_bundle, "andriod", folder)
    assert (unknown.code, unknown.hint) == ("EK-ARGUMENT", "did you mean 'android'?")
    assert refusal(small_bundle, "web", folder, "fp32.tflit").hint == "did you mean 'fp32.tflite'?"
    misfit = refusal(small_bundle, "flutter", folder, "fp32.pte")
    assert misfit.code == "EK-NO-VARIANT" and "int8-dynamic.tflite" in str(misfit.hint)
    nothing = refusal(only(small_bundle, ("fp32.pte",), tmp_path / "pte.edgekit"), "web", folder)
    assert nothing.code == "EK-NO-VARIANT" and nothing.hint == "edgekit build PROJECT --target browser"
    batch = with_variant(small_bundle, tmp_path / "batch.edgekit", "fp32.tflite", batch=8)
    assert "8 samples at a time" in refusal(batch, "web", folder, "fp32.tflite").message
    backend = with_variant(small_bundle, tmp_path / "vulkan.edgekit", "fp32.pte", backend="vulkan")
    assert "vulkan" in refusal(backend, "ios", folder, "fp32.pte").message


def test_other_numbers_than_floats_are_refused(small_bundle: Path, tmp_path: Path) -> None:
    tokens = Signature((TensorSpec("tokens", (1, 8), "int64"),), (TensorSpec("output", (1, 4), "float32"),))
    bundle = changed(small_bundle, tmp_path / "tokens.edgekit", lambda manifest: replace(manifest, signature=tokens))
    assert "int64" in refusal(bundle, "android", tmp_path / "starter").message


def test_nothing_is_overwritten(small_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert refusal(small_bundle, "web", tmp_path).code == "EK-ARGUMENT"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert isinstance(refusal(small_bundle, "web", tmp_path / "mine.txt"), UsageError)


def test_the_command(small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "starter"
    arguments = ["integrate", str(small_bundle), "--for", "android", "-o", str(folder)]
    assert run([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["variant"] == "fp32.tflite" and document["library"] == "LiteRT 2.3.0"
    assert sorted(document["files"]) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    assert run(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    assert run([*arguments[:-1], str(tmp_path / "other")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'other' / 'README.md'}\n"
