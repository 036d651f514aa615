"""The code as a whole: style, types, and the floors that imports must respect."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edgekit.backends import BACKENDS
from edgekit.devices.payload.assembly import OWN_FILES
from edgekit.engines import ENGINES
from edgekit.formats import FORMATS
from edgekit.pipeline.exporters import EXPORTERS
from edgekit.recipes import RECIPES
from edgekit.source_kinds import SOURCE_KINDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgekit"


TOOLS = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["importlinter.cli", "lint"]]


@pytest.mark.parametrize("command", TOOLS, ids=" ".join)
def test_tool_finds_nothing(command: list[str]) -> None:
    if command[0] == "importlinter.cli":
        command = ["-c", "from importlinter.cli import lint_imports_command as run; run()"]
    else:
        command = ["-m", *command]
    process = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]


def test_the_same_tools_look_at_a_commit() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert {hook["language"] for hook in local["hooks"]} == {"system"}  # in the versions of this environment
    entries = [hook["entry"].removeprefix("python -m ").split()[:2] for hook in local["hooks"]]
    assert entries == [["ruff", "check"], ["ruff", "format"], ["mypy"], ["lint-imports"]]
    assert len(entries) == len(TOOLS)


#: The engine libraries, which only their own adapters may import: where not listed, the one of the adapter's name.
ENGINE_LIBRARIES = {
    "litert.py": {"ai_edge_litert"},
    "executorch.py": {"executorch", "torch"},
    "onnxruntime_cuda.py": {"onnxruntime"},
    "pytorch_mobile.py": {"torch"},
    "tensorflow.py": {"keras", "tensorflow"},
    "torch_compile.py": {"torch"},
    "torch_device.py": {"torch"},
    "torch_eager.py": {"torch"},
    "torch_session.py": {"torch"},
}


def device_side() -> list[Path]:
    """What `edgekit.devices.payload` sends of edgekit."""
    return sorted({path for pattern in OWN_FILES for path in PACKAGE.glob(pattern) if path.suffix == ".py"})


@pytest.mark.parametrize("path", device_side(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_device_side_imports_the_standard_library_and_numpy_alone(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "edgekit"}
    if path.parent.name == "engines":
        allowed |= ENGINE_LIBRARIES.get(path.name, {path.stem})
    if path.parent.name == "pictures":
        allowed.add("PIL")  # to read photographs, and only then
    if path.parent.name == "cli":
        allowed.add("click")
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "edgekit"]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    assert imported <= allowed, imported - allowed


#: What has one place, and the calls that are made nowhere else.
ONLY_IN = {
    "runtime/children.py": {
        "os.execv", "os.execve", "os.execvp", "os.popen", "os.posix_spawn", "os.spawnv", "os.system", "shutil.which",
        "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.run",
    },
    "cli/console.py": {"click.echo", "click.secho", "click.style"},
}  # fmt: skip


def calls(path: Path) -> set[str]:
    """Functions of modules that *path* calls, as in ``os.system``."""
    return {
        f"{node.func.value.id}.{node.func.attr}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    }


@pytest.mark.parametrize("place", ONLY_IN)
def test_programs_are_started_and_words_are_printed_in_one_place(place: str) -> None:
    """One that was not made there would run what lies in the current folder, or let a bundle command the terminal."""
    elsewhere = {
        path.relative_to(PACKAGE).as_posix(): found
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / place and (found := calls(path) & ONLY_IN[place])
    }
    assert not elsewhere
    assert calls(PACKAGE / place) & ONLY_IN[place]


#: One word for one thing (`docs/architecture.md`, *Words*): a function that is called with lines for people is *log*,
#: one that is called with events *listener*. These stood for the same.
OTHER_WORDS = {"emit", "on_error", "report"}
#: Parts of names that stood for many things, or are none of the field's: a place was a path, an offset in a file, an
#: index, a device, or where in a document a value stands.
NO_WORDS = {"door", "hear", "heard", "place", "places", "praise", "reception", "sitting", "spoken"}
#: A function of the core's C interface.
_IN_PLACE = "ek_run_in_place"


@pytest.mark.parametrize("room", ["devices", "profiling", "runtime"])
def test_nothing_is_passed_under_another_word_for_it(room: str) -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {argument.arg}"
        for path in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.arg in OTHER_WORDS
    }
    assert not found


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)}


def test_no_name_is_made_of_a_word_that_says_nothing() -> None:
    """Of variables, parameters, attributes, functions and classes."""
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (getattr(node, field, None) for field in ("id", "arg", "attr", "name"))
        if isinstance(name, str) and name != _IN_PLACE and NO_WORDS & words_of(name)
    }
    assert not found


def test_no_two_modules_have_names_a_letter_apart() -> None:
    """But for verbs of the command line, and for a folder and what lies in it."""
    paths = [path for path in PACKAGE.rglob("*") if path.suffix == ".py" or (path / "__init__.py").exists()]
    named = [path for path in paths if path.stem[0] != "_" and path.parent != PACKAGE / "cli"]
    stems = {path.stem for path in named}
    found = {
        f"{path.relative_to(PACKAGE)} and {longer}"
        for path in named
        for longer in stems
        if longer[:-1] == path.stem and not {longer} & set(path.relative_to(PACKAGE).parts)
    }
    assert not found


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    rooms = [PACKAGE / room for room in ("cli", "devices", "profiling", "runtime")]
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for room in rooms for path in room.rglob("*.py")}
    assert not {path.relative_to(PACKAGE).as_posix(): length for path, length in lengths.items() if length > 400}


#: Files that own the names on the axis: each value says there all that there is to know of it.
OWNERS = {"formats.py", "recipes.py", "backends.py", "engines.py", "source_kinds.py", "pipeline/exporters/__init__.py"}
#: Names that are those of processors, libraries and worker families as well.
AMBIGUOUS = {"cpu", "jax", "keras", "tensorflow", "torch"}
#: What else is called like one: a processor's feature, TensorFlow Lite's version, a kind of trace, a heading.
OTHER_THINGS = {
    ("runtime/machine.py", "fp16"),
    ("pipeline/exporters/tensorflow.py", "tflite"),
    ("profiling/operators/__init__.py", "litert"),
    ("runtime/contents/allowed.py", "pte"),
    ("runtime/engines/pytorch_mobile.py", "qnnpack"),
}


#: Methods whose first argument decides.
ASKING = {"endswith", "get", "pop", "startswith"}


def decided_by(path: Path) -> set[str]:
    """Words that *path* compares something with, or that are keys of its tables."""

    def words(node: ast.AST | None) -> set[str]:
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else set()
        parts = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else ()
        return set().union(*map(words, parts)) if parts else set()

    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            found.update(*map(words, (node.left, *node.comparators)))
        elif isinstance(node, ast.MatchValue):
            found |= words(node.value)
        elif isinstance(node, ast.Dict):
            found.update(*map(words, node.keys))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKING:
            found.update(*map(words, node.args[:1]))
        elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") != "Literal":
            found |= words(node.slice)
    return found


@pytest.mark.parametrize(
    "code",
    ["x == 'int8'", "x not in ('fp32', 'int8')", "{'int8': 8}[x]", "x['int8']", "x.get('int8')", "x.startswith('int8')",
     "match x:\n    case 'int8' | 'fp16': pass"],
)  # fmt: skip
def test_a_name_that_decides_is_seen(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code, encoding="utf-8")
    assert "int8" in decided_by(tmp_path / "module.py")


def test_no_file_knows_the_values_of_the_axis_by_name() -> None:
    """What is to be known of a format, recipe, backend, engine, exporter or kind of source, the value itself says."""
    names = {
        name for registry in (FORMATS, RECIPES, BACKENDS, ENGINES, EXPORTERS, SOURCE_KINDS) for name in registry.names()
    }
    found = {
        (path.relative_to(PACKAGE).as_posix(), word)
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in OWNERS
        for word in {each.removeprefix(".") for each in decided_by(path)} & (names - AMBIGUOUS)
    }
    assert found == OTHER_THINGS
