"""``docs/operators.md``: what the operator matrix found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from support.operator_matrix import FILES, Configuration, Result, read_results, table

_MARKS = {
    "right": "yes",
    "rewritten": "rewritten",
    "none": "-",
    "coarse": "too coarse",
    "refused": "refused",
    "wrong": "**wrong**",
    "unnamed": "**fails**",
}
_COLUMNS = FILES
_INTRODUCTION = """\
# Operators

<!-- Made by `python docs/generate.py` from `tests/conformance/operators.jsonl`; a test compares. -->

What becomes of {count} configurations of PyTorch's operators, as models of vision, sound, text and time series use
them, in both formats. Each one is a small model with weights that goes the way of every build: it is exported, run by
LiteRT or ExecuTorch, and its outputs are compared with PyTorch's column by column, which takes 80 dB in fp32.

| mark | meaning |
|---|---|
| yes | right, as the converter has it |
| rewritten | right, because edgekit spells the operator otherwise before the converter sees it |
| refused | one line says so: which operator, in which layer and line of your code, and what to do |
| too coarse | eight bits do not hold what this operator alone computes, and the build refuses the file |
| - | the recipe changes nothing here; an empty cell was not tried |

`edgekit doctor MODEL` says the same of your model before you build it. `python tests/conformance/operators.py` tries
all of them, which takes two hours, and keeps the results that this page is made from.
"""


def page() -> str:
    results = read_results()
    families: dict[str, list[Configuration]] = {}
    for line, one in table().items():
        if line in results:
            families.setdefault(one.family, []).append(one)
    parts = [_INTRODUCTION.format(count=sum(map(len, families.values()))), _totals(results)]
    parts += ["\n".join(_family(name, members, results)) for name, members in families.items()]
    return "\n".join(parts)


def _totals(results: dict[str, dict[str, Result]]) -> str:
    counts = {
        column: Counter(found[column].outcome for found in results.values() if column in found) for column in _COLUMNS
    }
    marks = [mark for mark in _MARKS if any(counts[column][mark] for column in _COLUMNS)]
    head = "| file | " + " | ".join(_MARKS[mark] for mark in marks) + " | tried |"
    rows = [
        f"| `.{column.split()[0]}` {column.split()[1]} | "
        + " | ".join(str(counts[column][mark]) for mark in marks)
        + f" | {counts[column].total()} |"
        for column in _COLUMNS
    ]
    return "\n".join([head, "|---" * (len(marks) + 2) + "|", *rows, ""])


def _family(name: str, members: list[Configuration], results: dict[str, dict[str, Result]]) -> Iterator[str]:
    yield f"## {name}\n"
    yield (
        "| configuration | inputs | "
        + " | ".join(f"`.{format}` {recipe}" for format, recipe in map(str.split, _COLUMNS))
        + " |"
    )
    yield "|---" * (len(_COLUMNS) + 2) + "|"
    refusals: dict[str, str] = {}
    for one in members:
        found = results[one.line]
        cells = [_MARKS[found[column].outcome] if column in found else "" for column in _COLUMNS]
        yield f"| {_code(one.expression)} | {_code(_shapes(one))} | {' | '.join(cells)} |"
        for column in _COLUMNS:
            if column in found and found[column].outcome == "refused":
                refusals.setdefault(found[column].said, one.expression)
    yield ""
    for said, expression in refusals.items():
        yield f"- {_code(expression)}: {said.replace('|', chr(92) + '|')}"
    if refusals:
        yield ""


def _shapes(one: Configuration) -> str:
    return ", ".join(f"{name}: {drawn}" for name, drawn in one.inputs.items())


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
