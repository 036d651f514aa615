"""The examples on the pages docs/adding: packages outside of edgekit, which bring something of each kind."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "docs" / "adding"
#: A block of code that is a file, which its first line names.
_FILE = re.compile(r"^```\w+\n# (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    """What there are pages for: ``engine``, say."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def _text(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def commands(page: str) -> list[list[str]]:
    """Words of each command on *page*."""
    return [shlex.split(line) for block in _COMMANDS.findall(_text(page)) for line in block.splitlines()]


def install(site: Path, project: Path) -> None:
    """Put every page's package into *site*, as pip would, and what is no package into *project*."""
    for page in pages():
        for name, text in _FILE.findall(_text(page)):
            if name == "pyproject.toml":
                _describe(site, tomllib.loads(text)["project"])
            else:
                ((site if name.endswith(".py") else project) / name).write_text(text, encoding="utf-8")


def _describe(site: Path, package: dict[str, str | dict[str, dict[str, str]]]) -> None:
    """What pip leaves of a package besides its modules."""
    name, version, groups = (package.get(key, {}) for key in ("name", "version", "entry-points"))
    assert isinstance(groups, dict)
    facts = site / f"{str(name).replace('-', '_')}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [line for group, own in groups.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in own.items()))]
    (facts / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
