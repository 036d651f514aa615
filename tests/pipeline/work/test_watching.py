"""What code reads is noted, whichever way it reads; what is its own, or Python's, is not."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: A process that watches itself while it runs the user's file.
_PROGRAM = """\
import json, runpy, sys
from edgekit.pipeline.work.watching import Watch
watch = Watch()
runpy.run_path(sys.argv[1])
print(json.dumps(watch.notes()))
"""


def noted(folder: Path, code: str) -> set[tuple[str, str]]:
    """Kind and name of what *code*, a file outside of *folder* run in it, reads; short names within *folder*."""
    file = folder.parent / "code.py"
    file.write_text(code)
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(file)],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    notes: list[list[Any]] = json.loads(process.stdout.splitlines()[-1])
    assert len({(kind, name) for kind, name, _ in notes}) == len(notes)
    found = {(kind, os.path.relpath(name, folder) if name.startswith(str(folder)) else name) for kind, name, _ in notes}
    return found - {("file", str(file))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "package" / "below").mkdir(parents=True)
    for name in ("package/__init__.py", "package/below/__init__.py"):
        (folder / name).write_text("")
    (folder / "package" / "below" / "layers.py").write_text("import json\nWIDTH = json.load(open('width.json'))\n")
    (folder / "width.json").write_text("3")
    (folder / "data.txt").write_text("data")
    (folder / "link.txt").symlink_to("data.txt")
    return folder


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("open({0!r} + '/data.txt').read()", {("file", "data.txt")}),
        ("import os; os.close(os.open({0!r} + '/data.txt', os.O_RDONLY))", {("file", "data.txt")}),
        ("from pathlib import Path; Path({0!r}, 'link.txt').read_bytes()", {("file", "link.txt")}),
        ("open({0!r}.encode() + b'/data.txt', 'rb')", {("file", "data.txt")}),
        ("open({0!r} + '/data.txt', 'r+')", {("file", "data.txt")}),
        ("import numpy; numpy.fromfile({0!r} + '/data.txt', 'u1')", {("file", "data.txt"), ("package", "numpy")}),
        ("import numpy; numpy.ones(3).sum()", {("package", "numpy")}),
        ("import sqlite3; sqlite3.connect({0!r} + '/data.txt').close()", {("file", "data.txt")}),
        (
            "import sqlite3; sqlite3.connect('file:' + {0!r} + '/data%2Etxt?mode=ro', uri=True).close()",
            {("file", "data.txt")},
        ),
        (
            "import sqlite3; sqlite3.connect('file://localhost' + {0!r} + '/data.txt', uri=True).close()",
            {("file", "data.txt")},
        ),
        ("open({0!r} + '/data.txt', 'a').close(); open({0!r} + '/data.txt')", {("file", "data.txt")}),
        ("import os; os.listdir('/dev/shm/'); os.listdir('/dev/fd')", {("folder", "/dev/shm")}),
        ("import pkgutil; list(pkgutil.iter_modules([{0!r}]))", {("folder", "."), ("folder", "package")}),
        ("import os; [name for name in os.environ if name == 'WHERE']", {("variables", "")}),
        ("open({0!r} + '/package/../data.txt')", {("file", "data.txt")}),
        ("open('data.txt')", {("file", "data.txt"), ("directory", "")}),
        ("import os; os.listdir({0!r})", {("folder", ".")}),
        ("from pathlib import Path; list(Path({0!r}).glob('*.txt'))", {("folder", ".")}),
        (
            "import os; list(os.walk({0!r}))",
            {("folder", name) for name in (".", "package", "package/below")},
        ),
        ("import os; os.environ.get('WHERE'); os.getenv('ELSE')", {("variable", "WHERE"), ("variable", "ELSE")}),
        ("import os; 'WHERE' in os.environ", {("variable", "WHERE")}),
        ("import os.path; os.path.expandvars('$WHERE/x')", {("variable", "WHERE")}),
        ("from pathlib import Path; Path('x').resolve(); Path.cwd()", {("directory", "")}),
        (
            "import contextlib\nwith contextlib.suppress(OSError): open({0!r} + '/none')",
            {("file", "none")},
        ),
        (
            "import sys; sys.path.insert(0, {0!r}); import package.below.layers",
            {
                ("file", "package/__init__.py"),
                ("file", "package/below/__init__.py"),
                ("file", "package/below/layers.py"),
                ("file", "width.json"),
                ("directory", ""),
            },
        ),
        (
            "import os\nif not os.fork():\n    open({0!r} + '/data.txt')\n    os._exit(0)\nos.wait()",
            {("file", "data.txt")},
        ),
        (
            "import threading\nt = threading.Thread(target=open, args=({0!r} + '/data.txt',))\nt.start()\nt.join()",
            {("file", "data.txt")},
        ),
    ],
)
def test_what_is_read_is_noted(folder: Path, code: str, read: set[tuple[str, str]]) -> None:
    assert noted(folder, code.format(str(folder))) == read


def test_modules_are_read_as_source_though_they_are_compiled(folder: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import package.below.layers"
    first = noted(folder, code)
    for file in folder.rglob("*.py"):
        py_compile.compile(str(file))
    assert noted(folder, code) == first


@pytest.mark.parametrize(
    "code",
    [
        "import json, email, ctypes, importlib.metadata; importlib.metadata.version('numpy')",
        "open('/proc/self/status').read(); open('/dev/null').read()",
        "open({0!r} + '/new', 'w').write('x'); open({0!r} + '/new').read()",
        "import pathlib; p = pathlib.Path({0!r}, 'new'); p.write_text('x'); p.read_text()",
        "import os; os.close(os.open({0!r}, os.O_RDONLY))",
        "open({0!r} + '/lock', 'a+').close(); import os; os.close(os.open({0!r} + '/own', os.O_RDWR | os.O_CREAT))",
        "import os, shutil; os.makedirs('a/b'); shutil.rmtree('a', ignore_errors=True)",
        "import sys; sys.path.insert(0, {0!r})\ntry:\n    import nothing_of_this_name\nexcept ImportError: pass",
    ],
)
def test_what_is_of_python_or_of_the_code_itself_is_not(folder: Path, code: str) -> None:
    found = noted(folder, code.format(str(folder)))
    assert {(kind, name) for kind, name in found if kind != "folder"} == set(), found


def test_a_relative_name_after_the_code_has_chosen_its_folder_does_not_depend_on_where_it_began(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "data.txt").write_text("x")
    code = f"import os; os.chdir({str(other)!r}); open('data.txt')"
    assert noted(folder, code) == {("file", str(other / "data.txt"))}


def test_what_is_new_comes_last(folder: Path) -> None:
    """However often, and in which process, what was noted before is read again."""
    program = """\
import os, sys
from edgekit.pipeline.work.watching import Watch
watch, folder, told = Watch(), sys.argv[1], []
for own, of_child in (("a", "b"), ("c", "a"), ("d", "c")):
    if not os.fork():
        open(f"{folder}/{own}").close()
        open(f"{folder}/{of_child}").close()
        os._exit(0)
    os.wait()
    open(f"{folder}/{own}").close()
    told += [name[-1] for kind, name, _ in watch.notes()[len(told):]]
print("".join(told))
"""
    for name in "abcd":
        (folder / name).write_text(name)
    command = [sys.executable, "-c", program, str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(told.strip()) == ["a", "b", "c", "d"]


def test_wrong_calls_are_answered_by_python(folder: Path) -> None:
    code = "for bad in (b'a\\0b', 'a\\0b', -1):\n    try: open(bad)\n    except (ValueError, OSError): pass"
    assert noted(folder, code) == set()
