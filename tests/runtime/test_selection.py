"""Which variant runs here, and the reason why the others do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, UsageError
from edgekit.manifest import Manifest
from edgekit.runtime.engines import ENGINES, engine
from edgekit.runtime.machine import Machine, read_machine
from edgekit.runtime.model import load
from edgekit.runtime.selection import Choice, check_names, choices, choose, needed_memory_bytes
from edgekit.target import load_target, target_names

HERE = read_machine()
INSTALLED = {"litert": "2.3.0", "executorch": "1.5.1", "tflite-runtime": "2.14.0"}


@pytest.fixture
def manifest(small_bundle: Path) -> Manifest:
    with Bundle.open(small_bundle) as bundle:
        return bundle.manifest


def _changed(manifest: Manifest, **changes: object) -> Manifest:
    return replace(manifest, variants=(replace(manifest.variants[0], **changes), *manifest.variants[1:]))  # type: ignore[arg-type]


def _first(manifest: Manifest, machine: Machine = HERE, **options: object) -> Choice:
    return next(choices(manifest, machine, **options))  # type: ignore[arg-type]


def _board(architecture: str, glibc: str, **facts: object) -> Machine:
    return replace(HERE, architecture=architecture, glibc=glibc, free_memory_bytes=1 << 30, **facts)  # type: ignore[arg-type]


def test_the_recommended_variant_comes_first_and_says_so(manifest: Manifest) -> None:
    other = replace(manifest, recommended={"variant": "fp32.pte", "reason": "small"})
    assert [choice.variant for choice in choices(other, HERE)] == ["fp32.pte", "fp32.tflite", "int8-dynamic.tflite"]
    assert _first(other).reason.startswith("recommended for the bundle's target (executorch 1.5")
    assert list(choices(other, HERE))[1].reason.startswith("can run here (litert ")


@pytest.mark.parametrize(
    ("machine", "variant", "named", "reason"),
    [
        (_board("aarch64", "2.36"), "fp32.tflite", None, None),
        (_board("aarch64", "2.36"), "fp32.pte", None, None),
        (_board("aarch64", "2.31"), "fp32.tflite", None, "it needs glibc 2.34, this system has 2.31"),
        (_board("aarch64", "2.31"), "fp32.pte", None, None),
        (_board("armv7l", "2.36"), "fp32.tflite", None, "there is no build for armv7l, only for x86_64 and aarch64"),
        (_board("armv7l", "2.36", features=("neon",)), "fp32.tflite", "tflite-runtime", None),
        (_board("armv7l", "2.36", features=()), "fp32.tflite", "tflite-runtime", "this CPU lacks neon"),
        (_board("armv7l", "2.36"), "fp32.pte", "tflite-runtime", "it does not load .pte files"),
        (_board("riscv64", "2.39"), "fp32.pte", None, "there is no build for riscv64, only for x86_64 and aarch64"),
    ],
)
def test_a_board_runs_what_its_engines_have_a_build_for(
    manifest: Manifest, machine: Machine, variant: str, named: str | None, reason: str | None
) -> None:
    (choice,) = choices(manifest, machine, variant, named, installed=INSTALLED)
    assert (choice.usable, choice.reason if reason else None) == (reason is None, reason)


def test_engines_are_looked_up_where_the_model_will_run(manifest: Manifest) -> None:
    assert _first(manifest, installed={}).reason == "not installed"
    newer = _changed(manifest, minimum_runtime={"litert": "99.1"})
    assert _first(newer).reason.endswith("is installed, the file needs 99.1")
    assert _first(newer, installed={"litert": "99.1.2"}).usable
    assert _first(_changed(manifest, minimum_runtime={"litert": "2"})).usable
    unknown = _first(_changed(manifest, engines=("litert-next",)))
    assert (unknown.usable, unknown.reason) == (False, "this edgekit does not know the engine")
    browser = _first(_changed(manifest, engines=("litert-web",)))
    assert (browser.usable, browser.reason) == (False, "it runs in a browser: edgekit phone BUNDLE")


def test_what_does_not_fit_into_memory_is_left_to_larger_machines(manifest: Manifest) -> None:
    large = _changed(manifest, size_bytes=200 << 20, arena_bytes=50 << 20)
    assert 450 << 20 < needed_memory_bytes(large, large.variants[0]) < 451 << 20
    first, second, _ = choices(large, replace(HERE, free_memory_bytes=400 << 20))
    assert (first.usable, first.reason) == (False, "it takes about 451 MiB of memory, 400 MiB are free")
    assert second.usable and choose([first, second]) == second
    assert _first(large, replace(HERE, free_memory_bytes=500 << 20)).usable
    assert _first(large, replace(HERE, free_memory_bytes=None)).usable


def test_nothing_to_run_says_why_and_what_to_do(manifest: Manifest, small_bundle: Path) -> None:
    bare = list(choices(manifest, HERE, installed={}))
    with pytest.raises(EdgekitError, match=r"fp32\.tflite on litert: not installed") as caught:
        choose(bare)
    assert (caught.value.code, caught.value.hint) == ("EK-NO-VARIANT", "pip install ai-edge-litert")
    with pytest.raises(EdgekitError, match="no build for armv7l") as caught:
        choose(choices(manifest, _board("armv7l", "2.36"), installed={}))
    assert "edgekit doctor" in str(caught.value.hint)


def test_wrong_names_are_refused_before_anything_is_opened(manifest: Manifest) -> None:
    check_names(manifest, None)
    check_names(manifest, "fp32.pte", "litert")
    for names, code, hint in (
        (("fp32.tflit", None), "EK-ARGUMENT", "did you mean 'fp32.tflite'?"),
        ((None, "litrt"), "EK-ENGINE", "did you mean 'litert'?"),
    ):
        with pytest.raises(UsageError) as caught:
            check_names(manifest, *names)
        assert (caught.value.code, caught.value.hint) == (code, hint)


def test_load_explains_itself_as_it_chooses(small_bundle: Path, manifest: Manifest) -> None:
    explained = load(small_bundle, explain=True)
    assert explained == tuple(choices(manifest, HERE))
    with load(small_bundle) as model:
        assert (model.variant, model.engine) == (choose(explained).variant, choose(explained).engine)


def test_engines_run_where_targets_say_they_do() -> None:
    """Two places state it, for two purposes: a target file for those who build, an engine for this machine."""
    for name in target_names():
        target = load_target(name)
        if target.kind not in ("board", "desktop") or target.system is None:
            continue
        machine = _board(target.cpu.architecture, target.system.glibc, features=target.cpu.features)
        for used in {used for support in target.formats for used in support.engines} & set(ENGINES.names()):
            platforms = engine(used).platforms
            assert not platforms or machine.architecture in [platform.architecture for platform in platforms], used
