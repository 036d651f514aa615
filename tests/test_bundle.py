"""Bundles: what is written comes back, and nothing that was changed is handed out."""

from __future__ import annotations

import copy
import errno
import io
import json
import os
import random
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.figures import figures

from edgekit import archive
from edgekit import bundle as bundle_module
from edgekit.bundle import Bundle, differences, write_bundle
from edgekit.digests import sha256
from edgekit.documents import canonical_json
from edgekit.errors import BundleError, EdgekitError
from edgekit.manifest import MANIFEST, Manifest, Variant, manifest_bytes, parse_manifest, seal
from edgekit.runtime.preprocess import Preprocessing
from edgekit.tensors import Signature, TensorSpec
from edgekit.writing import replacing, write_error


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


FILES = {
    "variants/fp32.tflite": b"TFL3" + bytes(range(200)),
    "variants/int8.pte": b"ET12" + bytes(range(100)),
    "checks/input_0.npy": npy(np.arange(8, dtype=np.float32).reshape(2, 4)),
    "checks/output_0.npy": npy(np.arange(4, dtype=np.float32).reshape(2, 2)),
    "labels.txt": "eins\nzwölf\n".encode(),
}


def variant(file: str) -> Variant:
    data, name = FILES[file], file.removeprefix("variants/")
    return Variant(
        name=name,
        file=file,
        size_bytes=len(data),
        sha256=sha256(data),
        format=name.rpartition(".")[2],
        recipe=name.partition(".")[0],
        engines=("litert",),
        minimum_runtime={"litert": "2.3.0"},
        producers={"torch": "2.13.0"},
        **figures(131.5, recipe=name.partition(".")[0], max_abs_diff=1e-6),
        delegated_share=98.5,
        undelegated_ops={"aten::mean": 1},
        accuracy=98.3,
        accuracy_drop=0.0,
    )


PLAIN = Manifest(
    name="digits",
    target="rpi4",
    signature=Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 2), "float32"),)),
    preprocessing=Preprocessing(scale=0.5).to_json(),
    labels=("eins", "zwölf"),
    variants=(variant("variants/fp32.tflite"), variant("variants/int8.pte")),
    recommended={"variant": "fp32.tflite", "reason": "exact"},
    source={"framework": "torch", "parameter_count": 10},
    calibration=None,
    checks={"inputs": {"x": "checks/input_0.npy"}, "outputs": {"y": "checks/output_0.npy"}, "samples": 2},
    producer="edgekit 0.1.0",
)


VALID_MANIFEST = replace(
    PLAIN, files={name: {"size_bytes": len(data), "sha256": sha256(data)} for name, data in FILES.items()}
).to_json()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_bundle(PLAIN, FILES, tmp_path / "digits.edgekit")
    return tmp_path / "digits.edgekit"


@pytest.fixture
def directory(path: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def read_all(path: Path) -> dict[str, bytes]:
    """Everything a bundle hands out, if it does."""
    with Bundle.open(path) as opened:
        opened.verify()
        opened.check_vectors()
        return {name: opened.read(name) for name in opened.manifest.files}


def refused(path: Path, match: str | None = None) -> BundleError:
    with pytest.raises(BundleError, match=match) as caught:
        read_all(path)
    assert caught.value.exit_code == 6
    assert "\n" not in caught.value.message
    return caught.value


def unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as stored:
        return {info.filename: stored.read(info) for info in stored.infolist()}


def rezip(path: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Write the archive again with changed entries, in the order that a bundle has."""
    entries = unzipped(path)
    change(entries)
    with path.open("wb") as stream:
        archive.write({MANIFEST: entries.pop(MANIFEST), **dict(sorted(entries.items()))}, stream)


def resealed(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A manifest with *change* done to it, as somebody would write it who knows how."""
    value = json.loads(data)
    del value["sha256"]
    change(value)
    return seal(value)


def test_a_zip_and_its_directory_hold_the_same(path: Path, directory: Path) -> None:
    assert read_all(path) == read_all(directory) == FILES
    with Bundle.open(path) as zipped, Bundle.open(directory) as unpacked:
        assert zipped.manifest == unpacked.manifest
        assert replace(zipped.manifest, files={}) == PLAIN
        assert differences(zipped, unpacked) == []
        inputs, outputs = zipped.check_vectors()
        assert inputs["x"].shape == (2, 4) and outputs["y"].shape == (2, 2)


def test_the_same_contents_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    shuffled = dict(reversed(FILES.items()))
    write_bundle(PLAIN, shuffled, tmp_path / "again.edgekit")
    assert path.read_bytes() == (tmp_path / "again.edgekit").read_bytes()
    assert list(tmp_path.glob(".*")) == []


def test_every_bit_flip_is_refused(path: Path) -> None:
    data = path.read_bytes()
    chance = random.Random(0)
    for position in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[position] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        refused(path)


def test_every_bit_flip_in_a_directory_is_refused(directory: Path) -> None:
    chance = random.Random(1)
    for name, data in {**FILES, MANIFEST: (directory / MANIFEST).read_bytes()}.items():
        for position in range(0, len(data), 7):
            flipped = bytearray(data)
            flipped[position] ^= 1 << chance.randrange(8)
            (directory / name).write_bytes(flipped)
            refused(directory, None if name == MANIFEST else "does not match its hash")
        (directory / name).write_bytes(data)


def test_every_truncation_is_refused(path: Path, directory: Path) -> None:
    data = path.read_bytes()
    for length in [*range(0, len(data), 61), len(data) - 1]:
        path.write_bytes(data[:length])
        refused(path)
    (directory / "labels.txt").write_bytes(b"ei")
    refused(directory, "labels.txt should have")
    (directory / "labels.txt").unlink()
    refused(directory, "has none")


@pytest.mark.parametrize("contents", [b"", b"PK", b"\x00" * 4096, b"{}", bytes(range(256)) * 20])
def test_what_is_no_bundle_is_refused(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "x.edgekit").write_bytes(contents)
    refused(tmp_path / "x.edgekit", "is not a bundle")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "has no manifest")
    refused(tmp_path / "none", "there is no /.*/none")
    refused(tmp_path / "none.edgekit", "there is no bundle at")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "variants/../../evil", "C:evil", "a\\..\\evil", "./x", "a//b", "a/", ".", ""]
)
def test_paths_that_leave_the_bundle_are_refused(path: Path, name: str) -> None:
    def listed(entries: dict[str, bytes]) -> None:
        entry = {"size_bytes": 1, "sha256": sha256(b"x")}
        entries[MANIFEST] = resealed(entries[MANIFEST], lambda value: value["files"].update({name: entry}))
        entries[name] = b"x"

    rezip(path, listed)
    refused(path, "leaves the bundle")


def test_files_that_are_not_listed_are_refused(path: Path, directory: Path) -> None:
    rezip(path, lambda entries: entries.update({"extra.bin": b""}))
    refused(path, "does not list: 'extra.bin'")
    (directory / "variants" / "extra.bin").touch()
    refused(directory, "does not list: 'variants/extra.bin'")


def test_links_are_refused(path: Path, directory: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(FILES["labels.txt"])
    (directory / "labels.txt").unlink()
    (directory / "labels.txt").symlink_to(outside)
    refused(directory, "holds a link")
    (directory / "labels.txt").unlink()
    shutil.move(directory / "variants", tmp_path / "variants")
    (directory / "variants").symlink_to(tmp_path / "variants")
    refused(directory, "holds a link")


def test_what_is_no_file_is_refused(directory: Path) -> None:
    (directory / "labels.txt").unlink()
    os.mkfifo(directory / "labels.txt")
    refused(directory, "which is no file")


def _stored(path: Path, entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], **options: Any) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", **options) as stored:
        warnings.simplefilter("ignore", UserWarning)  # of two entries of one name
        for name, data in entries:
            stored.writestr(name, data)


def _link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "write",
    [
        lambda path, files: _stored(path, files.items()),  # today's date
        lambda path, files: _stored(path, files.items(), compression=zipfile.ZIP_DEFLATED),
        lambda path, files: _stored(path, files.items(), compression=zipfile.ZIP_LZMA),
        lambda path, files: _stored(path, [*files.items(), (_link("labels.txt"), b"/etc/passwd")]),
        lambda path, files: _stored(path, [*files.items(), *files.items()]),
        lambda path, files: _stored(path, [(f"./{name}", data) for name, data in files.items()]),
    ],
    ids=["dated", "deflated", "lzma", "link", "twice", "dotted"],
)
def test_a_zip_that_edgekit_did_not_write_is_refused(
    path: Path, write: Callable[[Path, dict[str, bytes]], None]
) -> None:
    write(path, unzipped(path))
    refused(path, "is not a bundle")


def test_any_unzip_program_opens_a_bundle_and_the_folder_is_one_too(path: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "zipfile", "-t", str(path)], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(path), str(tmp_path / "x")], check=True)
    assert read_all(tmp_path / "x") == FILES


def test_sizes_that_lie_are_refused_before_anything_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def enormous(entries: dict[str, bytes]) -> None:
        size = {"size_bytes": 1 << 50}
        entries[MANIFEST] = resealed(entries[MANIFEST], lambda value: value["files"]["labels.txt"].update(size))

    rezip(path, enormous)
    refused(path, "should have 1125899906842624 bytes")
    monkeypatch.setattr(bundle_module, "_MAX_MANIFEST_BYTES", 100)
    refused(path, "it has more than 100 bytes")


def test_a_newer_schema_says_what_to_do(path: Path) -> None:
    def newer(entries: dict[str, bytes]) -> None:
        entries[MANIFEST] = canonical_json({**json.loads(entries[MANIFEST]), "schema_version": 3, "new": 1})  # no seal

    rezip(path, newer)
    assert "install the edgekit" in str(refused(path, "schema version 3").hint)


def test_a_manifest_that_was_edited_is_refused(path: Path, directory: Path) -> None:
    text = (directory / MANIFEST).read_bytes()
    for old, new in (
        (b'"eins"', b'"uno"'),
        (b"131.5", b"181.5"),
        (b'"rpi4"', b'"rpi5"'),
        (b"  ", b"   "),
        (b"}", b"} "),
    ):
        (directory / MANIFEST).write_bytes(text.replace(old, new, 1))
        assert (directory / MANIFEST).read_bytes() != text
        refused(directory, "changed after it was written")
    (directory / MANIFEST).write_bytes(resealed(text, lambda value: value.update(labels=["uno", "dos"])))
    assert read_all(directory) == FILES  # integrity, not authenticity: who makes a new manifest is not found out


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*place, key))


OTHER_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_manifest_with_any_other_value_anywhere_is_refused_or_usable(directory: Path, data: st.DataObject) -> None:
    """What passes holds values of the declared types, so that no later step stumbles over them."""
    value = copy.deepcopy(VALID_MANIFEST)
    place = data.draw(st.sampled_from(list(places(value))))
    what = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if not place:
        value = data.draw(OTHER_VALUES)
    else:
        parent = value
        for key in place[:-1]:
            parent = parent[key]
        if what == "remove":
            del parent[place[-1]]
        elif what == "add" and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=5))] = data.draw(OTHER_VALUES)
        else:
            parent[place[-1]] = data.draw(OTHER_VALUES)
    try:
        sealed = seal(value) if isinstance(value, dict) else json.dumps(value).encode()
    except (ValueError, UnicodeEncodeError):  # NaN, infinity and broken Unicode are no canonical JSON
        return
    (directory / MANIFEST).write_bytes(sealed)
    try:
        contents = read_all(directory)
    except BundleError as error:
        assert error.exit_code == 6
        return
    with Bundle.open(directory) as opened:
        manifest = opened.manifest
    assert contents == FILES
    assert parse_manifest(manifest_bytes(manifest)) == manifest
    for entry in manifest.variants:
        assert f"{entry.snr_db:.1f}{entry.delegated_share or 0:.0f}{entry.max_abs_diff:.1f}"
        assert all(figure is None or f"{figure:.2f}" for figure in (entry.accuracy, entry.agreement))
        assert all(isinstance(text, str) for text in (*entry.engines, *entry.warnings))
        assert all(isinstance(version, str) for version in entry.minimum_runtime.values())
        assert all(isinstance(count, int) for count in entry.undelegated_ops.values())
    assert f"{manifest.name} {manifest.recommended['variant']}".strip()
    for spec in (*manifest.signature.inputs, *manifest.signature.outputs):
        np.zeros((0, *spec.shape[1:]), spec.dtype)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("signature", "inputs", 0, "dtype"), "floaty"),
        (("signature", "inputs", 0, "dtype"), "object"),
        (("signature", "inputs", 0, "shape"), [1, -4]),
        (("signature", "inputs", 0, "shape"), "14"),
        (("signature", "inputs"), []),
        (("variants", 0, "snr_db"), "high"),
        (("variants", 0, "snr_db"), True),
        (("variants", 0, "accuracy"), [1]),
        (("variants", 0, "minimum_runtime"), ["litert"]),
        (("variants", 0, "undelegated_ops"), {"conv": "one"}),
        (("variants", 0, "engines"), "litert"),
        (("variants", 0, "name"), "int8.pte"),
        (("variants", 0, "file"), "labels.txt"),
        (("variants",), []),
        (("preprocessing",), []),
        (("recommended",), {"variant": "none"}),
        (("recommended", "variant"), ["fp32.tflite"]),
        (("checks", "inputs"), {"x": "none.npy"}),
        (("checks", "inputs"), ["checks/input_0.npy"]),
        (("labels",), "ab"),
        (("name",), 7),
        (("source",), None),
        (("schema_version",), True),
        (("files", "labels.txt"), {"size_bytes": True, "sha256": "x"}),
    ],
)
def test_a_manifest_field_of_another_type_is_refused(path: Path, place: tuple[Any, ...], wrong: Any) -> None:
    value = copy.deepcopy(VALID_MANIFEST)
    parent = value
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = wrong
    rezip(path, lambda entries: entries.update({MANIFEST: seal(value)}))
    assert "changed after" not in refused(path).message


@pytest.mark.parametrize("name", ["", "n" * 101, "a\nb", " a", "\x1b[2J", "\u202egpj", "x.npy", "a\\b"])
def test_a_bundle_with_a_name_that_is_none_is_not_written(path: Path, name: str) -> None:
    before = path.read_bytes()
    spec = TensorSpec(name, (1, 4), "float32")
    for wrong in (
        replace(PLAIN, signature=Signature((spec,), PLAIN.signature.outputs)),
        replace(PLAIN, signature=Signature(PLAIN.signature.inputs, (spec,))),
        replace(PLAIN, name=name),
    ):
        with pytest.raises(BundleError, match="schema"):
            write_bundle(wrong, FILES, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("field", ["name", "format", "recipe", "engines"])
@pytest.mark.parametrize("word", ["", "a b", "a\nb", "../x", "zwölf", "x" * 65, '";import os;"'])
def test_what_becomes_code_and_paths_has_an_alphabet(path: Path, field: str, word: str) -> None:
    wrong = replace(PLAIN.variants[0], **{field: (word,) if field == "engines" else word})
    with pytest.raises(BundleError):
        write_bundle(replace(PLAIN, variants=(wrong, PLAIN.variants[1])), FILES, path)


@pytest.mark.parametrize("label", ["", "l" * 201, "a\nb", "\x1b]0;x\x07", "a\u2028b"])
def test_a_class_has_a_name_in_one_line(path: Path, label: str) -> None:
    with pytest.raises(BundleError, match="labels"):
        write_bundle(replace(PLAIN, labels=(label, "b")), FILES, path)


def test_words_of_any_language_are_names(path: Path) -> None:
    words = ("\u0645\u06cc\u200c\u062e\u0648", "größe", "\u5168\u89d2\u3000\u8a9e", "a/b", "file", "labels")
    outputs = tuple(TensorSpec(name, (1, 2), "float32") for name in words)
    checks = {**PLAIN.checks, "outputs": dict.fromkeys(words, "checks/output_0.npy")}
    signature = Signature(PLAIN.signature.inputs, outputs)
    write_bundle(replace(PLAIN, signature=signature, checks=checks, labels=words), FILES, path)
    with Bundle.open(path) as opened:
        assert [spec.name for spec in opened.manifest.signature.outputs] == list(words)
        assert opened.manifest.labels == words and set(opened.check_vectors()[1]) == set(words)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"[" * 100_000, b'{"a": 1e999}', b"null", b"NaN", b"1" * 5000])
def test_a_manifest_that_is_no_json_object_is_refused(path: Path, text: bytes) -> None:
    rezip(path, lambda entries: entries.update({MANIFEST: text}))
    refused(path)


def test_arrays_are_never_pickles(path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    before = path.read_bytes()
    with pytest.raises(BundleError, match=r"digits\.edgekit is damaged: checks/input_0.npy holds no array"):
        write_bundle(PLAIN, {**FILES, "checks/input_0.npy": buffer.getvalue()}, path)
    assert path.read_bytes() == before


def test_a_file_that_is_not_listed_is_not_read(directory: Path) -> None:
    with Bundle.open(directory) as opened:
        for name in (MANIFEST, "../outside", "/etc/passwd", "none"):
            with pytest.raises(BundleError):
                opened.read(name)


def test_a_file_that_changes_after_opening_is_refused(directory: Path) -> None:
    with Bundle.open(directory) as opened:
        (directory / "labels.txt").write_bytes(FILES["labels.txt"] + b"x" * 1000)
        with pytest.raises(BundleError):
            opened.read("labels.txt")


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "EK-SPACE"), (errno.EACCES, "EK-WRITE")])
def test_a_write_that_fails_leaves_the_old_bundle(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    before = path.read_bytes()

    def fail(files: dict[str, bytes], stream: BinaryIO) -> None:
        stream.write(b"half")
        raise OSError(number, "simulated")

    monkeypatch.setattr(archive, "write", fail)
    with pytest.raises(EdgekitError) as caught:
        write_bundle(PLAIN, FILES, path)
    assert caught.value.code == code
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_really_full_disk_is_said() -> None:
    """/dev/full answers every write with "no space left"."""
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert write_error(Path("x"), caught.value).code == "EK-SPACE"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(EdgekitError, match="a device or a pipe") as caught, replacing(pipe):
        pass
    assert caught.value.code == "EK-WRITE" and pipe.is_fifo() and os.listdir(tmp_path) == ["pipe"]


def test_an_interrupt_leaves_the_old_bundle(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for destination in (tmp_path / "file" / "x.edgekit", tmp_path):
        with pytest.raises(EdgekitError) as caught:
            write_bundle(PLAIN, FILES, destination)
        assert caught.value.code == "EK-WRITE"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_differences_are_named_by_field_and_file(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.edgekit"
    data = b"TFL3 other"
    changed = replace(PLAIN.variants[0], size_bytes=len(data), sha256=sha256(data), snr_db=120.0)
    manifest = replace(PLAIN, variants=(changed, PLAIN.variants[1]), labels=("eins",))
    write_bundle(manifest, {**FILES, "variants/fp32.tflite": data}, other)
    with Bundle.open(path) as one, Bundle.open(other) as two:
        lines = differences(one, two)
    assert "variants[fp32.tflite].snr_db: 131.5 against 120.0" in lines
    assert lines[-1] == "file variants/fp32.tflite differs"
    assert any(line.startswith("labels: ") for line in lines)


def test_a_bundle_from_before_there_were_backends_is_read() -> None:
    value = copy.deepcopy(VALID_MANIFEST)
    for entry in value["variants"]:
        del entry["backend"]
    manifest = parse_manifest(seal(value))
    assert {(entry.backend, entry.checked) for entry in manifest.variants} == {("xnnpack", True)}


def test_a_variant_that_was_not_run_has_no_figures_of_a_run() -> None:
    value = json.loads(canonical_json(VALID_MANIFEST))
    value["variants"][1] |= {"backend": "coreml", **dict.fromkeys(figures())}
    manifest = parse_manifest(seal(value))
    assert [entry.checked for entry in manifest.variants] == [True, False]
    assert parse_manifest(manifest_bytes(manifest)) == manifest
    value["variants"][1]["snr_db"] = 100.0
    with pytest.raises(ValueError, match="some of what a run gives is missing"):
        parse_manifest(seal(value))
