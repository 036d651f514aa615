"""The page: sections in the order in which a reader asks, filled from the profile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from edgekit import display
from edgekit.profiling import words
from edgekit.profiling.advice import Advice, advise
from edgekit.profiling.report import provenance
from edgekit.profiling.report.figures import cost, latency, operators
from edgekit.profiling.report.figures.elements import Figure, Table, label
from edgekit.profiling.report.figures.failures import failures
from edgekit.profiling.report.figures.quality import trade
from edgekit.profiling.rows import Row, rows
from edgekit.profiling.statistics import TOO_FEW
from edgekit.runtime.engines import is_browser_engine
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import FAILED, NOT_RUN, Cell
from edgekit.runtime.profiler.settings import Settings

Pairs = Sequence[tuple[Row, Cell]]

_UNIT = re.compile(r"(\d) (%|ms|µs|[KMG]?B|s|W|GHz|°C|mJ|dB)(?!\w)")
_MODES = {"quick": "Quick measurement", "default": "Measurement", "strict": "Strict measurement"}


@dataclass(frozen=True)
class Card:
    """What to ship on a device: the row, its figures by name, and the advice."""

    advice: Advice
    sentence: str
    tiles: tuple[tuple[str, str, str], ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Group:
    """What a section says of one device."""

    name: str
    figures: tuple[Figure, ...]
    table: Table | None = None
    more: Table | None = None


def html(profile: Profile) -> str:
    """The whole page of *profile*."""
    from altair.utils.schemapi import debug_mode
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_tie,
    )
    with debug_mode(False):  # without checking each step of each chart against Vega-Lite's schema, which takes seconds
        return environment.get_template("report.html.jinja").render(_content(profile))


def _tie(value: object) -> object:
    """A figure and its unit on one line. Markup stays as it is."""
    if type(value) is not str:
        return value
    return _UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", display.lines(value.split("\n")))


def _content(profile: Profile) -> dict[str, Any]:
    found = rows(profile)
    pairs = list(zip(found, profile.cells, strict=True))
    groups = {device.name: [pair for pair in pairs if pair[0].device == device.name] for device in profile.devices}
    there = [[row for row, _ in each] for each in groups.values()]
    names = dict.fromkeys(bundle.name for bundle in profile.bundles)
    return {
        "numbers": count(1),  # of figures
        "title": f"Profile of {words.listing(list(names))}",
        "mode": _MODES[profile.settings.mode],
        "profile": profile,
        "counts": _counts(found),
        "means": any(row.latency_ms is not None and row.latency_ms.calls_per_sample > 1 for row in found),
        "cards": sorted((_card(each, found) for each in advise(profile, found)), key=lambda card: not card.tiles),
        "latency": [group for name, each in groups.items() if (group := _latency(profile, name, each))],
        "trades": _each(_by(found, "device", "bundle"), trade),
        "sizes": _each(_by(found, "bundle", "target"), cost.sizes),
        "memory": _each(there, cost.memory),
        "start": _each(there, cost.start),
        "instructions": _each(there, cost.instructions),
        "energy": _energy(found),
        "operators": _operators(groups),
        "failures": failures(pairs),
        "machines": [
            (device, provenance.facts(device), provenance.states(device, profile.cells)) for device in profile.devices
        ],
        "conditions": provenance.conditions(profile.cells),
        "settings": _settings(profile),
        "command": shlex.join(profile.command),
        "bundles": _bundles(profile),
    }


def _counts(found: Sequence[Row]) -> str:
    failed = sum(row.status == FAILED for row in found)
    left = sum(row.status == NOT_RUN for row in found)
    measured = len(found) - failed - left
    text = [f"{words.plural(measured, 'row')} measured"]
    text += [f"{failed} failed"] if failed else []
    text += [f"{left} not run"] if left else []
    return ", ".join(text)


def _card(advice: Advice, found: Sequence[Row]) -> Card:
    told = f"ship {advice.variant} on {advice.engine} for {advice.bundle}: "
    sentence = advice.why.removeprefix(f"{advice.device}: ").removeprefix(told)
    sentence = f"{sentence[:1].upper()}{sentence[1:]}".rstrip(".") + "."
    row = next((row for row in found if _is(row, advice)), None)
    # That an emulated board has no latency is said once, not for every row.
    emulated = {f"{each.name}: emulated: no latency" for each in found if each.emulated}
    lists = (
        ("Know this", advice.remarks),
        ("Could not be compared", advice.not_compared),
        ("Left out", tuple(item for item in advice.left_out if item not in emulated)),
    )
    return Card(advice, sentence, () if row is None else _tiles(row), tuple(each for each in lists if each[1]))


def _is(row: Row, advice: Advice) -> bool:
    key = (row.device, row.bundle, row.variant, row.engine)
    return row.headline and key == (advice.device, advice.bundle, advice.variant, advice.engine)


def _tiles(row: Row) -> tuple[tuple[str, str, str], ...]:
    """Name, figure and small print of each."""
    assert row.latency_ms is not None
    summary = row.latency_ms
    drop = "the bundle has no labels" if row.accuracy is None else words.below(row)
    p90, of = words.milliseconds(summary.p90), words.basis(summary)
    if summary.p90 is None:
        p90, of = (TOO_FEW, of) if summary.calls_per_sample == 1 else ("no figure", summary.why_none)
    memory = "with the interpreter and numpy" if not is_browser_engine(row.engine) else "a browser does not tell"
    return (
        ("Median latency", words.milliseconds(summary.median), f"95 % interval {words.bounds(summary.interval)}"),
        ("90th percentile", p90, of),
        (row.metric.name.capitalize(), words.score(row), drop),
        ("File", words.size(row.size_bytes), row.variant),
        ("Peak memory", words.size(row.peak_rss_bytes), memory),
        ("Load", words.milliseconds(row.load_ms), f"first inference {words.milliseconds(row.first_ms)}"),
    )


def _latency(profile: Profile, name: str, pairs: Pairs) -> Group | None:
    device = next(device for device in profile.devices if device.name == name)
    there = [row for row, _ in pairs]
    drawn = (
        latency.latency(there),
        latency.against(there, device),
        latency.spread(pairs),
    )
    shown = tuple(figure for figure in drawn if figure is not None)
    if not any(row.latency_ms for row in there):
        return None
    return Group(name, shown, latency.latency_table(there), latency.parts(there))


def _each(groups: Iterable[Sequence[Row]], draw: Callable[..., Figure | None]) -> list[Figure]:
    """What *draw* makes of each group of rows."""
    drawn = (draw(rows) for rows in groups if rows)
    return [figure for figure in drawn if figure is not None]


def _by(found: Sequence[Row], *names: str) -> list[list[Row]]:
    """The rows that are alike in these attributes, together."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(tuple(getattr(row, name) for name in names), []).append(row)
    return list(groups.values())


def _operators(groups: dict[str, list[tuple[Row, Cell]]]) -> list[tuple[Group, list[str]]]:
    """For each device its figures, and why other rows have none though operators were asked for."""
    found = []
    for name, pairs in groups.items():
        there = [row for row, _ in pairs]
        drawn = (operators.operators(row, there, cell) for row, cell in pairs)
        shown = tuple(figure for figure in drawn if figure is not None)
        missing = [f"{label(row, there)}: {row.operators_reason}" for row in there if row.operators_reason]
        if shown or missing:
            found.append((Group(name, shown), missing))
    return found


def _energy(found: Sequence[Row]) -> list[tuple[str, str]]:
    """Device, and what its rows took for one inference or why that is not known."""
    lines: dict[tuple[str, str], None] = {}
    for row in found:
        if row.energy_mj is not None:
            lines[row.device, f"{row.name}: {words.energy(row)} for one inference, of the whole board"] = None
        elif row.energy_reason or row.headline:
            lines[row.device, words.energy(row)] = None
    return list(lines)


def _settings(profile: Profile) -> list[tuple[str, str]]:
    settings = profile.settings
    return [
        ("Mode", settings.mode),
        ("Seed of the orders", str(settings.seed)),
        ("Fresh processes for each row", _repeats(settings)),
        (
            "Least measured for each row",
            f"{words.number(settings.seconds)} s and {words.count(settings.samples)} samples",
        ),
        ("Threads asked for", "each device's default" if settings.threads is None else str(settings.threads)),
        ("Cores asked for", "none" if settings.cpus is None else ", ".join(map(str, settings.cpus))),
        ("Operators traced", "yes" if settings.operators else "no"),
        ("Began", profile.created),
        ("Written by", f"{profile.producer}, profile schema {profile.schema_version}"),
    ]


def _repeats(settings: Settings) -> str:
    more = settings.busy_repeats
    return (
        str(settings.repeats) if more is None else f"{settings.repeats}, and {more} on a machine that others use, too"
    )


def _bundles(profile: Profile) -> Table:
    lines = [
        (
            f"{bundle.name} for {bundle.target}",
            each.name,
            each.sha256,
            ", ".join(f"{k} {v}" for k, v in each.producers.items()),
        )
        for bundle in profile.bundles
        for each in bundle.variants
    ]
    return Table("Files that were measured", ("Bundle", "Variant", "SHA-256", "Made with"), tuple(lines), frozenset())
