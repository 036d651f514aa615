"""``edgekit init``"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import click

from edgekit.cli import console, options
from edgekit.errors import UsageError, did_you_mean
from edgekit.writing import write_error


@click.command(
    epilog="""\b
Examples:
  edgekit init digits                        a PyTorch project that trains and builds as it is
  edgekit init mine --example digits_keras   the same in Keras
  edgekit init --list                        all examples"""
)
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.option("--example", default="digits", show_default=True, metavar="NAME", help="Which example to start from.")
@click.option("--list", "listing", is_flag=True, help="List the examples.")
@options.output
def command(directory: Path, example: str, listing: bool, as_json: bool, quiet: bool) -> None:
    """Write a commented project that builds into DIRECTORY, for you to change bit by bit."""
    examples = {path.parent.name: path.parent for path in sorted(_examples().glob("*/edgekit.toml"))}
    if listing:
        summaries = {name: _summary(path) for name, path in examples.items()}
        lines = console.table(("example", "what it is"), list(summaries.items()))
        console.result(as_json, summaries, lines)
        return
    if example not in examples:
        raise UsageError("EK-ARGUMENT", f"unknown example {example!r}", did_you_mean(example, examples))
    sources = sorted(path for path in examples[example].rglob("*") if _belongs(path.relative_to(examples[example])))
    targets = {directory / path.relative_to(examples[example]): path for path in sources if path.is_file()}
    for taken in (target for target in targets if target.exists()):
        raise UsageError("EK-WRITE", f"{taken} is there already", "choose another folder; nothing was written")
    for target, source in targets.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise write_error(target, error) from error
    requires = tomllib.loads((directory / "edgekit.toml").read_text(encoding="utf-8"))["project"].get("requires", [])
    if as_json:
        console.document(
            {"directory": str(directory), "files": [str(target) for target in targets], "requires": requires}
        )
        return
    console.note(f"wrote {len(targets)} files from the example {example!r} into {directory}", quiet)
    if requires:
        console.note(f"it needs: pip install {' '.join(requires)}", quiet)
    console.note(f"next: edgekit build {directory} --target rpi4", quiet)


def _examples() -> Path:
    """``edgekit/examples`` in an installed wheel, ``examples`` beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "examples"
    return inside if inside.is_dir() else package.parent / "examples"


def _belongs(path: Path) -> bool:
    return not any(part.startswith((".", "__pycache__")) or part == "build" for part in path.parts)


def _summary(example: Path) -> str:
    """The first line of prose in the example's README."""
    lines = (example / "README.md").read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line.strip() and not line.startswith("#")), "")
