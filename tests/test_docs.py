"""What the README, CONTRIBUTING.md and the pages below docs/ name is there: files, modules, pages, sections."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from support.readme import ROOT, pages

from edgekit.pipeline.metric import SCORERS
from edgekit.recipes import RECIPES
from edgekit.target import target_names

PAGES = [*pages(), ROOT / "CONTRIBUTING.md", ROOT / ".github" / "pull_request_template.md"]
#: Files that a project, a bundle or an example has, which begin as names of modules do.
_FILES = {"edgekit.toml"}


def entry_point_groups() -> set[str]:
    """Of edgekit's registries."""
    kinds = {
        kind
        for path in (ROOT / "edgekit").rglob("*.py")
        for kind in re.findall(r"= [rR]egistry\(\s*\"([a-z ]+)\"", path.read_text(encoding="utf-8"))
    }
    return {f"edgekit.{kind.replace(' ', '_')}s" for kind in kinds - {"framework"}}


GROUPS = entry_point_groups()


def page(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def words(text: str) -> str:
    """*text* without the blocks of code that are no commands: what a program prints names whatever it likes."""
    return re.sub(r"^```(?!sh|python).*?^```$", "", text, flags=re.S | re.M)


def named(path: Path, pattern: str) -> list[str]:
    return re.findall(pattern, words(path.read_text(encoding="utf-8")))


def exists(name: str) -> bool:
    """Whether there is something of this dotted *name*: a module, or what can be reached from one."""
    module, *rest = name.split(".")
    found = import_module(module)
    for part in rest:
        if not hasattr(found, part):
            module = f"{found.__name__}.{part}"
            try:
                import_module(module)
            except ModuleNotFoundError:
                return False
        found = getattr(found, part)
    return True


def sections(path: Path) -> set[str]:
    """What links can point to on a page, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_files_that_are_named_exist(path: Path) -> None:
    found = named(path, r"(?<![\w./~-])((?:edgekit|tests|docs|examples|targets|\.ci|\.github)/[\w./-]*)")
    missing = [name for name in found if not (ROOT / name.rstrip(".")).exists() and not _is_made(name)]
    assert not missing


def _is_made(name: str) -> bool:
    return re.match(r"examples/\w+/build/", name) is not None


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_modules_that_are_named_exist(path: Path) -> None:
    found = named(path, r"(?<![\w./~-])(edgekit(?:\.[A-Za-z_]\w*)+)")
    assert not [name for name in found if name not in _FILES | GROUPS and not exists(name)]


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_links_lead_somewhere(path: Path) -> None:
    for link in named(path, r"\]\(([^)\s]+)\)"):
        if re.match(r"https?://", link):
            continue
        file, _, section = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT) and target.exists(), link
        if section:
            assert section in sections(target), link


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = {(ROOT / "docs" / name).resolve() for name in named(ROOT / "docs" / "README.md", r"\]\(([\w/-]+\.\w+)\)")}
    there = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".json")}
    beside = {path for path in there if path.parent / "README.md" in listed}  # which says where to look for them
    assert there - {ROOT / "docs" / "README.md"} <= listed | beside


@pytest.mark.parametrize(
    ("names", "file"),
    [(target_names(), "targets"), (RECIPES.names(), "building"), (SCORERS.names(), "building")],
    ids=["targets", "recipes", "metrics"],
)
def test_everything_that_can_be_chosen_is_explained(names: tuple[str, ...], file: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / f"{file}.md").read_text(encoding="utf-8"), re.M)
    assert set(names) <= {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_floors_are_those_that_hold() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert "\n".join(layers) in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_entry_point_group_is_named() -> None:
    assert {"edgekit.formats", "edgekit.engines", "edgekit.metrics"} <= GROUPS
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("entry point group")[2]
    assert not [group for group in GROUPS if f"| `{group}` |" not in text]


def test_every_word_is_explained_once() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| ([\w ]+) \|", text.partition("## Words")[2], re.M)
    assert len(explained) > 40
    assert len(explained) == len(set(explained))
