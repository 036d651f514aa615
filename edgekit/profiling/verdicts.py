"""The outcomes of a comparison as a table, as Markdown for a pull request, and as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from edgekit.display import one_line
from edgekit.profiling.markdown import cell as _cell
from edgekit.profiling.regression import TITLES, Outcome, failures, undecided


def table(outcomes: Sequence[Outcome]) -> tuple[list[str], list[list[str]]]:
    """Headers, and a line for each row: only columns that say something."""
    columns = {}
    for name in ("device", "bundle"):
        values = [getattr(outcome, name) for outcome in outcomes]
        if len(set(values)) > 1:
            columns[name] = values
    columns["variant"] = [outcome.variant for outcome in outcomes]
    columns["engine"] = [outcome.engine for outcome in outcomes]
    for metric, title in TITLES.items():
        checks = [{check.metric: check.figure for check in outcome.checks} for outcome in outcomes]
        if any(metric in figures for figures in checks):
            columns[title] = [figures.get(metric, "-") for figures in checks]
    columns["verdict"] = [outcome.verdict for outcome in outcomes]
    return list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)]


def markdown(outcomes: Sequence[Outcome], *, base: str, new: str) -> str:
    """GitHub-flavoured Markdown: the sum of it in a line, then the table, with what failed in bold.

    Args:
        base, new: What the profiles are called.
    """
    headers, lines = table(outcomes)
    failed, unknown = failures(outcomes), undecided(outcomes)
    count = "no limit is shown to be missed" if unknown else "every limit is met"
    if failed:
        count = f"{len(failed)} limit{'' if len(failed) == 1 else 's'} not met"
    if unknown:
        count += f", {len(unknown)} undecided"
    text = [f"**{count}**: {_cell(new)} against {_cell(base)}", "", _line(headers), _line(["---"] * len(headers))]
    for outcome, cells in zip(outcomes, lines, strict=True):
        shown = [_cell(cell) for cell in cells]
        text.append(_line([*shown[:-1], f"**{shown[-1]}**" if outcome.failed else shown[-1]]))
    return "\n".join([*text, ""])


def junit(outcomes: Sequence[Outcome]) -> str:
    """JUnit XML: a test case for each row and metric, and one for each row that is missing or new."""
    suite = ElementTree.Element("testsuite", name="edgekit compare")
    tests = failed = skipped = 0
    for outcome in outcomes:
        for name, failure, skip in _cases(outcome):
            case = ElementTree.SubElement(suite, "testcase", classname=one_line(outcome.name), name=name)
            tests += 1
            if failure:
                ElementTree.SubElement(case, "failure", message=one_line(failure))
                failed += 1
            elif skip:
                ElementTree.SubElement(case, "skipped", message=one_line(skip))
                skipped += 1
    suite.attrib.update(tests=str(tests), failures=str(failed), errors="0", skipped=str(skipped))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _cases(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Name, failure and reason to skip of each case."""
    if outcome.status != "compared":
        return [("measured", *((outcome.verdict, "") if outcome.failed else ("", outcome.verdict)))]
    cases = []
    for check in outcome.checks:
        open_ = check.text if check.result not in ("met", "not met") else ""
        cases.append((TITLES[check.metric], *((check.text, "") if check.failed else ("", open_))))
    return cases


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
