"""A stage is made again when anything that its code read has changed, wherever that lies, and only then."""

from __future__ import annotations

import os
import py_compile
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ConversionError
from edgekit.pipeline.data import load_arrays
from edgekit.pipeline.work.cache import Cache, Entry
from edgekit.pipeline.work.events import Damaged, StageEvent
from edgekit.pipeline.work.pool import Pool
from edgekit.pipeline.work.stages import Stages

SUPPORT = Path(__file__).parents[2] / "support"


class Desk:
    """A project's folder, one outside of it, and a cache."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch):
        self.root, self.patch = root, patch
        self.project, self.outside = root / "project", root / "outside"
        for folder in (self.project, self.outside):
            folder.mkdir()
        self.events: list[StageEvent] = []

    def code(self, body: str) -> None:
        lines = "\n".join(f"    {line}" for line in body.format(str(self.outside)).splitlines())
        (self.project / "data.py").write_text(f"import os\nimport numpy as np\n\n\ndef evaluation():\n{lines}\n")

    def stage(self, function: str, resumable: bool = False, **arguments: Any) -> Entry:
        """One stage of one build; the folder that it leaves files in is the argument *directory*."""
        with Pool(1) as pool:
            stages = Stages(Cache(self.root / "cache"), pool, self.events.append, "small", self.project)
            return stages.run(
                "data",
                "small",
                key={},
                code=("names.py",),
                function=function,
                family="plain",
                arguments=lambda directory: {**arguments, "directory": str(directory)},
                failure="EK-CODE",
                resumable=resumable,
            )

    def data(self) -> tuple[bool, float]:
        """Whether the data were in the cache, and their first number."""
        entry = self.stage(
            "edgekit.pipeline.data:prepare",
            project=str(self.project),
            train=None,
            evaluation="data.py:evaluation",
            calibration=None,
            preprocessing=None,
            classes=0,
            seed=0,
        )
        arrays, _ = load_arrays(entry.path("evaluation.npz"))
        return entry.cached, float(arrays["input"].ravel()[0])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return Desk(tmp_path, monkeypatch)


def array(desk: Desk, value: int) -> None:
    """Of the same size and the same times, whatever the value."""
    np.save(desk.outside / "x.npy", np.full((4, 2), value, np.float32))
    os.utime(desk.outside / "x.npy", (1, 1))


def picture(desk: Desk, value: int) -> None:
    """So many files in a folder that is linked into the project."""
    shutil.rmtree(desk.outside / "set", ignore_errors=True)
    (desk.outside / "set" / "below").mkdir(parents=True)
    for number in range(value):
        (desk.outside / "set" / "below" / f"{number}.txt").write_text("0")
    if not (desk.project / "set").exists():
        (desk.project / "set").symlink_to(desk.outside / "set")


def appears(desk: Desk, value: int) -> None:
    (desk.outside / "value.txt").unlink(missing_ok=True)
    if value == 2:
        (desk.outside / "value.txt").write_text("2")


def package(desk: Desk, value: int) -> None:
    (desk.outside / "parts" / "below").mkdir(parents=True, exist_ok=True)
    file = desk.outside / "parts" / "below" / "values.py"
    file.write_text(f"VALUE = {value}\n")
    os.utime(file, (1, 1))
    if value == 1:
        py_compile.compile(str(file))  # which Python itself would take for the other one's, too


def variable(desk: Desk, value: int) -> None:
    for number in (1, 2):
        (desk.outside / str(number)).write_text(str(number))
    desk.patch.setenv("SMALL_DATA", str(desk.outside / str(value)))


def current(desk: Desk, value: int) -> None:
    folder = desk.outside / str(value)
    folder.mkdir(exist_ok=True)
    (folder / "value.txt").write_text(str(value))
    desk.patch.chdir(folder)


def installed(desk: Desk, value: int) -> None:
    """A package as pip leaves it; only its version tells."""
    site = desk.outside / "site-packages"
    shutil.rmtree(site, ignore_errors=True)
    (site / "small_package").mkdir(parents=True)
    (site / "small_package" / "__init__.py").write_text(f"VALUE = {value}  # {'.' * value}\n")
    facts = site / f"small_distribution-{value}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: small-distribution\nVersion: {value}\n")
    (facts / "top_level.txt").write_text("small_package\n")
    desk.patch.syspath_prepend(str(site))
    desk.patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ["PYTHONPATH"]]))


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ("return np.load({0!r} + '/x.npy')", array),
        ("from concurrent.futures import ProcessPoolExecutor\n"
         "with ProcessPoolExecutor(1) as pool: return pool.submit(np.load, {0!r} + '/x.npy').result()", array),
        ("return np.memmap({0!r} + '/x.npy', np.float32, offset=128).reshape(4, 2)", array),
        ("from pathlib import Path\nfiles = Path(__file__).parent.glob('set/*/*.txt')\n"
         "return np.full((4, 2), len(list(files)), np.float32)", picture),
        ("try: value = float(open({0!r} + '/value.txt').read())\nexcept OSError: value = 1\n"
         "return np.full((4, 2), value, np.float32)", appears),
        ("import sys; sys.path.insert(0, {0!r})\nfrom parts.below.values import VALUE\n"
         "return np.full((4, 2), VALUE, np.float32)", package),
        ("import small_package\nreturn np.full((4, 2), small_package.VALUE, np.float32)", installed),
        ("return np.full((4, 2), float(open(os.environ['SMALL_DATA']).read()), np.float32)", variable),
        ("return np.full((4, 2), float(open('value.txt').read()), np.float32)", current),
    ],
)  # fmt: skip
def test_what_lies_outside_the_project_counts(desk: Desk, body: str, change: Callable[[Desk, int], None]) -> None:
    desk.code(body)
    change(desk, 1)
    assert desk.data() == (False, 1)
    assert desk.data() == (True, 1)
    change(desk, 2)
    assert desk.data() == (False, 2)
    change(desk, 1)  # what was made of the same is still there
    assert desk.data() == (True, 1)


def test_what_was_not_read_does_not_count(desk: Desk) -> None:
    desk.code("open({0!r} + '/made', 'w').write('x'); open({0!r} + '/made').read()\nreturn np.ones((4, 2), np.float32)")
    assert desk.data() == (False, 1)
    (desk.outside / "made").write_text("by somebody else")
    (desk.outside / "more").write_text("more")
    desk.patch.setenv("SMALL_OTHER", "1")
    desk.patch.chdir(desk.outside)
    assert desk.data() == (True, 1)


def test_a_project_may_move(desk: Desk) -> None:
    """And its copy has files of its own."""
    np.save(desk.project / "x.npy", np.ones((4, 2), np.float32))
    desk.code("from pathlib import Path\nreturn np.load(Path(__file__).parent / 'x.npy')")
    assert desk.data() == (False, 1)
    copy = Path(shutil.copytree(desk.project, desk.root / "copy"))
    desk.project.rename(desk.root / "moved")
    desk.project = desk.root / "moved"
    assert desk.data() == (True, 1)
    desk.project = copy
    np.save(copy / "x.npy", np.full((4, 2), 2, np.float32))
    assert desk.data() == (False, 2)


def test_a_file_that_changes_while_it_is_read_is_read_again(desk: Desk) -> None:
    array(desk, 1)
    desk.code("x = np.load({0!r} + '/x.npy')\nopen({0!r} + '/x.npy', 'ab').write(b'.')\nreturn x")
    assert desk.data() == (False, 1)
    assert desk.data() == (False, 1)


def test_a_stage_goes_on_with_what_it_left_only_while_what_it_read_is_the_same(desk: Desk) -> None:
    """The function leaves a file and fails, and finds it the next time."""
    (desk.outside / "file").write_text("one")

    def left() -> bool:
        with pytest.raises(ConversionError) as caught:
            desk.stage("tasks:read_and_fail", resumable=True, path=str(desk.outside / "file"))
        return "found" in caught.value.message

    assert not left() and left()
    (desk.outside / "file").write_text("two")
    assert not left() and left()


@pytest.mark.parametrize("damage", ["byte", "record", "index"])
def test_damage_is_said_and_healed(desk: Desk, damage: str) -> None:
    array(desk, 1)
    desk.code("return np.load({0!r} + '/x.npy')")
    desk.data()
    (file,) = (desk.root / "cache").glob({"byte": "data/*/evaluation.npz", "record": "data/*/record.json"}.get(
        damage, "reads/*.json"))  # fmt: skip
    written = bytearray(file.read_bytes())
    written[len(written) // 2] ^= 1
    file.write_bytes(written if damage == "byte" else b"[1")
    desk.events.clear()
    assert desk.data() == (False, 1)
    said = [event for event in desk.events if isinstance(event.what, Damaged)]
    assert len(said) == (damage != "index")  # without an index there is nothing that could be damaged
    assert desk.data() == (True, 1)
