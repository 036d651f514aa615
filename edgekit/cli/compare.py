"""``edgekit compare``: a new profile against an older one, under a policy."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import console, options

_EPILOG = """\b
Examples:
  edgekit compare main.json branch.json
  edgekit compare main.json branch.json --policy policy.toml --markdown comment.md --junit compare.xml
  edgekit compare main.json branch.json --json

Without a policy: median latency, size and peak memory may grow by 5, 5 and 10 %, instructions on emulated boards
by 2 %, accuracy may fall by 0.5 points, and no row may be missing. A policy changes that (inf lifts a limit):

\b
  missing = "fail"           # or "allow"
  not_comparable = "note"    # or "fail": another machine, other threads, other inputs
  undecided = "note"         # or "fail": a latency that is not shown to be within its limit, nor beyond
  [limits]
  latency_ratio = 1.05       # also size_ratio, peak_rss_ratio, guest_instructions_ratio, load_ratio
  accuracy_drop = 0.5
  [[rows]]                   # other limits for some rows
  engine = "executorch"      # shell patterns; also variant and device
  latency_ratio = 1.10
"""


@click.command("compare", epilog=_EPILOG)
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--policy", "policy_file", metavar="FILE", type=click.Path(path_type=Path), help="Limits, as TOML.")
@click.option("--markdown", metavar="FILE", help="Write the table as Markdown; - for standard output.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML.")
@options.output
def command(
    base: Path,
    new: Path,
    policy_file: Path | None,
    markdown: str | None,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Hold the profile NEW against the profile BASE, row by row.

    Ends with exit code 3 when a limit is not met. A latency counts as too long, or as within its limit, only when the
    95 % interval of the ratio shows it; otherwise it is undecided, and so it is where a machine was busy or hot.
    Latencies from different machines, or measured under other conditions, are not compared.
    """
    import os
    from dataclasses import asdict

    from edgekit.errors import LimitError, UsageError
    from edgekit.profiling import outcome, verdicts
    from edgekit.profiling.files import read_profile
    from edgekit.profiling.outputs import check_writable
    from edgekit.profiling.policy import Policy, load_policy
    from edgekit.profiling.regression import failures, judge, undecided

    if as_json and markdown == "-":
        raise UsageError("EK-ARGUMENT", "--json and --markdown - both print", "give --markdown a file")
    for file in [Path(name) for name in (markdown, junit) if name is not None and name != "-"]:
        if os.path.lexists(file):  # its folder is made, where there is none
            check_writable(file)
    outcome.require_packages()
    policy = Policy() if policy_file is None else load_policy(policy_file)
    outcomes = judge(read_profile(base), read_profile(new), policy)
    failed, unknown = failures(outcomes), undecided(outcomes)
    if markdown is not None:
        text = verdicts.markdown(outcomes, base=base.name, new=new.name)
        if markdown == "-":
            console.say(*text.splitlines(), most=1_000_000)
        else:
            _write(Path(markdown), text)
    if junit is not None:
        _write(junit, verdicts.junit(outcomes))
    if as_json:
        rows = [outcome.to_json() for outcome in outcomes]
        console.document(
            {
                "base": str(base),
                "new": str(new),
                "policy": asdict(policy),
                "rows": rows,
                "failures": failed,
                "undecided": unknown,
            }
        )
    elif markdown != "-":
        console.say(*console.table(*verdicts.table(outcomes)))
    if failed:
        met = "shown to be met" if policy.undecided == "fail" else "met"
        count = f"{len(failed)} limit{' is' if len(failed) == 1 else 's are'} not {met}, first "
        hint = "edgekit compare --help says how a policy allows more"
        raise LimitError("EK-LIMIT", f"{count}{failed[0]}", hint)
    compared = sum(outcome.status == "compared" for outcome in outcomes)
    met = "no limit is shown to be missed" if unknown else "every limit is met"
    more = f"; undecided: {len(unknown)}, first {unknown[0]}" if unknown else ""
    console.note(f"{met} in the {compared} rows that were measured in both{more}", quiet)


def _write(path: Path, text: str) -> None:
    from edgekit.writing import replacing

    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
