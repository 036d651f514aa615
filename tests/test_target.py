"""What a user can rely on in the targets that edgekit ships, and in what is said about a wrong target file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.recipes import RECIPES
from edgekit.target import load_target, target_names

SHIPPED = (
    "android-arm64",
    "android-gpu",
    "browser",
    "desktop-x86_64",
    "ios",
    "linux-arm64",
    "rpi-zero2w",
    "rpi3",
    "rpi3-32bit",
    "rpi4",
    "rpi5",
)

OWN = """
title = "Our camera"
kind = "board"
threads = 2
recipe_preference = ["int8", "fp32"]

[cpu]
architecture = "aarch64"
core = "cortex-a55"
features = ["neon", "fp16", "dotprod"]

[[formats]]
format = "tflite"
backend = "xnnpack"
engines = ["litert"]
recipes = ["int8"]

[[formats.avoid]]
recipe = "fp32"
verdict = "slower"
reason = "the memory is slow"

[[sources]]
fact = "Cortex-A55"
source = "our data sheet"
"""


def test_every_promised_target_is_there() -> None:
    assert target_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_target_is_complete(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert target.sources
    assert all(citation.source.startswith(("https://", "measured")) for citation in target.sources)
    assert set(target.recipe_preference) <= set(RECIPES.names())
    for entry in target.formats:
        assert set(entry.recipes) <= set(RECIPES.names())
        for recipe in entry.recipes:  # what is built by default must not carry a warning
            assert target.why_not(entry.format, recipe) is None


@pytest.mark.parametrize(
    ("name", "core", "features", "memory_mib"),
    [
        ("rpi-zero2w", "cortex-a53", ("neon",), 512),
        ("rpi3", "cortex-a53", ("neon",), 1024),
        ("rpi4", "cortex-a72", ("neon",), 1024),
        ("rpi5", "cortex-a76", ("neon", "fp16", "dotprod"), 1024),
    ],
)
def test_the_boards(name: str, core: str, features: tuple[str, ...], memory_mib: int) -> None:
    target = load_target(name)
    assert (target.cpu.architecture, target.cpu.core, target.cpu.cores) == ("aarch64", core, 4)
    assert target.cpu.features == features
    assert target.memory_bytes == memory_mib << 20
    assert target.system is not None
    assert target.system.glibc == "2.34"  # LiteRT 2.3.0's, whatever its wheel's tag says


def test_a_32_bit_system_has_tflite_runtime_and_nothing_else() -> None:
    target = load_target("rpi3-32bit")
    assert [(entry.format, entry.engines) for entry in target.formats] == [("tflite", ("tflite-runtime",))]
    assert target.system is not None
    assert target.system.python == ("3.11",)  # the last that tflite-runtime 2.14 has a wheel for
    concern = target.why_not("pte", "int8")
    assert concern is not None and concern.verdict == "cannot"
    assert ".pte" in concern.reason and ".tflite" in concern.reason


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "android-gpu"])
def test_dynamic_int8_is_warned_of_for_convolutions_only(name: str) -> None:
    target = load_target(name)
    for format in {entry.format for entry in target.formats if entry.recipes}:
        concern = target.why_not(format, "int8-dynamic", operators={"convolution", "linear"})
        assert concern is not None
        assert target.why_not(format, "int8-dynamic") == concern  # what is unknown is taken to be there
        assert target.why_not(format, "int8-dynamic", operators={"linear"}) is None
        assert "int8-dynamic" not in [recipe for entry in target.formats for recipe in entry.recipes]


@pytest.mark.parametrize("name", ["rpi-zero2w", "rpi3", "rpi4", "rpi5", "linux-arm64", "android-arm64"])
def test_half_precision_halves_the_file_on_every_arm_core(name: str) -> None:
    # Without fp16 arithmetic (Pi 4 and older) LiteRT and XNNPACK compute these files in fp32, at its speed.
    assert all("fp16" in entry.recipes for entry in load_target(name).formats if entry.format != "ptl")


def test_half_precision_in_executorch_is_slower_on_x86() -> None:
    concern = load_target("desktop-x86_64").why_not("pte", "fp16")
    assert concern is not None and concern.verdict == "slower"
    assert load_target("desktop-x86_64").why_not("tflite", "fp16") is None


def test_pytorch_mobile_is_built_only_on_request_and_discouraged() -> None:
    for name in ("rpi4", "rpi5", "desktop-x86_64", "android-arm64"):
        support = load_target(name).support("ptl")
        assert support is not None and support.recipes == ()
        concern = load_target(name).why_not("ptl", "fp32")
        assert concern is not None and concern.verdict == "discouraged"


def test_what_no_desktop_engine_runs_is_marked() -> None:
    marked = {
        (name, entry.format, entry.backend)
        for name in SHIPPED
        for entry in load_target(name).formats
        if not entry.runs_on_host
    }
    assert marked == {("ios", "pte", "coreml"), ("android-gpu", "pte", "vulkan")}


def test_where_two_backends_share_a_format_the_recipe_decides() -> None:
    ios = load_target("ios")
    backends = {recipe: support.backend for recipe in RECIPES.names() if (support := ios.support("pte", recipe))}
    assert backends == {"fp32": "xnnpack", "fp16": "coreml", "int8": "xnnpack", "int8-dynamic": "xnnpack"}


@pytest.mark.parametrize(
    ("board", "architecture", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "aarch64", "rpi4"),
        ("Raspberry Pi 400 Rev 1.0", "aarch64", "rpi4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "aarch64", "rpi5"),
        ("Raspberry Pi 500 Rev 1.0", "aarch64", "rpi5"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "aarch64", "rpi3"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "armv7l", "rpi3-32bit"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "aarch64", "rpi-zero2w"),
        ("Raspberry Pi Zero W Rev 1.1", "armv6l", None),
        (None, "x86_64", None),
    ],
)
def test_a_board_is_recognised_by_model_and_userland(board: str | None, architecture: str, name: str | None) -> None:
    found = [known for known in target_names() if load_target(known).is_machine(board, architecture)]
    assert found == ([] if name is None else [name])


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_target("rpi44")
    assert (caught.value.code, caught.value.message) == ("EK-TARGET", "unknown target 'rpi44'")
    assert "did you mean 'rpi4'?" in str(caught.value.hint)


def test_a_target_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text(OWN)
    target = load_target(path)
    assert (target.name, target.title, target.memory_bytes) == ("camera", "Our camera", None)
    assert target.limits.noise_floor_percent == 2.0
    concern = target.why_not("tflite", "fp32")
    assert concern is not None and concern.verdict == "slower"


def test_a_target_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_target(tmp_path / "none.toml")
    assert caught.value.code == "EK-MISSING-FILE"


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("threads = 2", "treads = 2", "unknown key 'treads'", "did you mean 'threads'?"),
        ("threads = 2", "", "the key 'threads' is missing", "add: threads = ..."),
        ("threads = 2", 'threads = "2"', "'threads' takes a whole number", "it has a text"),
        ("threads = 2", "threads = true", "'threads' takes a whole number", "it has true or false"),
        ("threads = 2", "threads = 0", "'threads' is 0", "it takes a number above 0"),
        ('core = "cortex-a55"', 'cor = "cortex-a55"', "unknown key 'cor' in 'cpu'", "did you mean 'core'?"),
        ('kind = "board"', 'kind = "bord"', "'kind' is 'bord'", "did you mean 'board'?"),
        ('"dotprod"]', '"dotprd"]', "'cpu.features[2]' is 'dotprd'", "did you mean 'dotprod'?"),
        ('engines = ["litert"]', 'engins = ["litert"]', "unknown key 'engins' in 'formats[0]'", "'engines'?"),
        ('engines = ["litert"]', 'engines = "litert"', "'formats[0].engines' takes a list", "it has a text"),
        ('engines = ["litert"]', 'engines = ["litrt"]', "'formats[0].engines' is 'litrt'", "did you mean 'litert'?"),
        (
            "[[formats]]",
            '[system]\npython = ["3.11"]\nglibc = "two"\n\n[[formats]]',
            "'system.glibc' is 'two'",
            'write it as "2.34"',
        ),
        ('format = "tflite"', 'format = "tflit"', "'formats[0].format' is 'tflit'", "did you mean 'tflite'?"),
        ('backend = "xnnpack"', 'backend = "xnpack"', "'formats[0].backend' is 'xnpack'", "did you mean 'xnnpack'?"),
        ('recipes = ["int8"]', 'recipes = ["int88"]', "formats[0] names the recipe 'int88'", "did you mean 'int8'?"),
        ('recipes = ["int8"]', "recipes = [8]", "'formats[0].recipes[0]' takes a text", "it has a whole number"),
        ('recipes = ["int8"]', 'recipes = ["fp16"]', "formats[0] names the recipe 'fp16'", "known: fp32, int8"),
        ('recipes = ["int8"]', 'recipes = ["int8", "int8"]', "'formats[0].recipes' has 'int8' twice", "leave one out"),
        ('["int8", "fp32"]', '["int8", "fp32", "int9"]', "'recipe_preference' is 'int9'", "did you mean 'int8'?"),
        ('reason = "the memory', 'reasn = "the memory', "unknown key 'reasn' in 'formats[0].avoid[0]'", "'reason'?"),
        ('recipe = "fp32"', 'recipe = "fp23"', "formats[0] names the recipe 'fp23'", "did you mean 'fp32'?"),
        ('source = "our data sheet"', "", "the key 'source' is missing in 'sources[0]'", "add: source = ..."),
        ("[cpu]", "[limits]\nnoise_floor = 2\n[cpu]", "unknown key 'noise_floor'", "'noise_floor_percent'?"),
        ("[cpu]", "[cpu", "not a TOML file", ""),
        ("threads = 2", 'threads = 2\nname = "x"', "unknown key 'name'", "'title' is free"),
    ],
)
def test_a_wrong_target_file_is_answered_with_file_key_and_cure(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    path = tmp_path / "camera.toml"
    assert old in OWN
    path.write_text(OWN.replace(old, new))
    with pytest.raises(UsageError) as caught:
        load_target(path)
    assert caught.value.code == "EK-TARGET"
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "\n" not in caught.value.message


def test_a_format_that_a_target_does_not_name_is_built_there_on_request(tmp_path: Path) -> None:
    """Where the format's engine says that it runs there."""
    path = tmp_path / "camera.toml"
    path.write_text(OWN)
    assert load_target(path).on_request() == ()  # of its system nothing is known
    system = '[system]\npython = ["3.11"]\nglibc = "{}"\n\n[[formats]]'
    path.write_text(OWN.replace("[[formats]]", system.format("2.36"), 1))
    target = load_target(path)
    assert "pte" in {entry.format for entry in target.on_request()}
    support = target.support("pte")
    assert support is not None and support.engines == ("executorch",) and support.recipes == ()
    assert target.why_not("pte", "fp32") is None
    assert target.support("onnx") is not None
    assert target.support("pt2") is None  # runs on desktops, and says nothing of boards
    path.write_text(OWN.replace("[[formats]]", system.format("2.17"), 1))
    assert load_target(path).on_request() == ()
