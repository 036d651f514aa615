"""The pages below docs/ that are made from the code: error codes, the command line, JSON documents as JSON Schema."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import click
from jsonschema import Draft202012Validator
from support import operator_page
from support.json_documents import DOCUMENTS
from support.json_schema import schema

from edgekit import errors
from edgekit.cli.main import VERBS, cli
from edgekit.formats import FORMATS
from edgekit.recipes import RECIPES

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ROOT / "docs" / "schema"
_MADE = "<!-- Made by `python docs/generate.py` from {}; a test compares. -->"


def pages() -> dict[Path, str]:
    """Each generated page's path, and what has to stand there."""
    folder = ROOT / "docs"
    made = {folder / "reference" / "errors.md": _errors(), folder / "reference" / "cli.md": _command_line()}
    made[folder / "operators.md"] = operator_page.page()
    for name, document in DOCUMENTS.items():
        value = schema(document.kind, title=document.title, constants=document.constants, gaps=document.gaps)
        made[SCHEMAS / f"{name}.json"] = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return made


def validator(name: str) -> Draft202012Validator:
    """Of documents of one kind, by what stands in docs/."""
    value = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(value)
    return Draft202012Validator(value)


def _errors() -> str:
    found = exit_codes()
    lines = [
        "# Error codes and exit codes",
        _MADE.format("`edgekit/errors.py`"),
        "An error is one line of what happened with its code, one line of what to do, and where the log is, if there "
        "is one. `--debug` shows the traceback. `edgekit doctor --codes` prints the codes. In Python, errors are "
        "`edgekit.errors.EdgekitError` and its subclasses, with `code`, `message`, `hint`, `log` and `exit_code`.",
        "## Exit codes",
        _table(("exit code", "meaning"), [(str(code), text) for code, text in errors.EXIT_CODES.items()]),
        "In `edgekit build` and `edgekit profile`, what failed hides nothing that worked, and changes the exit code "
        "only when nothing worked or `--strict` was given.",
        "## Error codes",
        _table(
            ("code", "meaning", "exit code"),
            [(f"`{code}`", text, ", ".join(map(str, sorted(found[code])))) for code, text in errors.CODES.items()],
        ),
        "Where a code has several exit codes, it depends on where it happened: a package that is missing on a device "
        "is exit code 4.",
    ]
    return "\n\n".join(lines) + "\n"


@cache
def exit_codes() -> dict[str, set[int]]:
    """The exit codes that each error code comes with: read from the calls in the code that make errors of it."""
    found: dict[str, set[int]] = {code: set() for code in errors.CODES}
    for path in (ROOT / "edgekit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                kind = getattr(errors, node.func.id, None)
                if isinstance(kind, type) and issubclass(kind, errors.EdgekitError):
                    for code in _codes(node.args[:1]):
                        found[code].add(kind.exit_code)
    found["EK-INTERRUPTED"] = {code for code in errors.EXIT_CODES if code > 128} - {141}
    found["EK-UNEXPECTED"] = {errors.EdgekitError.exit_code}
    return found


def _codes(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and node.value in errors.CODES:
                yield node.value


def _command_line() -> str:
    lines = [
        "# The command line",
        _MADE.format("the verbs' own help"),
        _usage(cli, "edgekit", "[--debug] VERB ..."),
        _table(("verb", "what it does"), [(f"[`{verb}`](#edgekit-{verb})", text) for verb, text in VERBS.items()]),
        "Every verb takes `--help`. With `--json`, standard output is one document and everything else goes to "
        "standard error. [Exit codes](errors.md#exit-codes) are the same for all verbs.",
    ]
    for verb in VERBS:
        command = import_module(f"edgekit.cli.{verb}").command
        arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        lines += [
            f"## edgekit {verb}",
            _usage(command, f"edgekit {verb}", " ".join(["[OPTIONS]", *map(_argument, arguments)])),
            _table(("option", "meaning"), [(_spelling(option), _meaning(option)) for option in options]),
            *_examples(command),
        ]
    return "\n\n".join(lines) + "\n"


def _usage(command: click.Command, name: str, rest: str) -> str:
    text = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    return f"```\n{name} {rest}\n```\n\n{text}"


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _spelling(option: click.Option) -> str:
    takes = "" if option.is_flag else f" {option.metavar or _takes(option.type)}"
    return ", ".join(f"`{name}{takes if name == option.opts[-1] else ''}`" for name in option.opts)


def _takes(kind: click.ParamType) -> str:
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    if isinstance(kind, click.Path):
        return "FILE" if kind.file_okay else "FOLDER"
    return {"integer": "NUMBER", "integer range": "NUMBER", "float range": "NUMBER"}.get(kind.name, "NAME")


def _meaning(option: click.Option) -> str:
    default = option.default if option.show_default else None
    shown = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else default
    more = [*(["Required."] if option.required else []), *([f"By default `{shown}`."] if shown is not None else [])]
    text = " ".join((option.help or "").split())
    # Other packages may bring some: the page is the same wherever it is made.
    for registry, one in ((FORMATS, "a format"), (RECIPES, "a recipe")):
        text = text.replace(registry.listing(), f"{one} (`--help` lists all)")
    return " ".join([text, *more])


def _examples(command: click.Command) -> Iterator[str]:
    """What stands below the options in the help, as it is laid out there."""
    text = (command.epilog or "").replace("\b\n", "").strip("\n")
    if text:
        yield f"```\n{text}\n```"


def _table(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headers, tuple("---" for _ in headers), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
