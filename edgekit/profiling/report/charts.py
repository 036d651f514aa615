"""The charts: what is drawn where. Each is 380 px wide, which a phone shows as it is, and has text of 11 px or more.

A row of a chart has a line of text above its drawing, so that no font and no name breaks the layout. Heights are
pixels from the top, as in a drawing; only the horizontal axis is one of figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from edgekit.profiling.report.marks import Mark

#: With margins of 8 px on both sides it is 380.
WIDTH = 364
#: From this ratio of the largest to the smallest on, a logarithmic axis shows both.
_LOGARITHMIC_FROM = 6
_TEXT_PX, _SMALL_PX = 12, 11
#: Text of the left and of the right end of a row share its width.
_LEFT_PX, _RIGHT_PX = 250, 190
_INK, _MUTED, _GRID, _PAPER = "var(--ink)", "var(--muted)", "var(--grid)", "var(--paper)"
#: Looks as they stand in the data.
_COLOR = alt.Color("color:N", scale=None, legend=None)
_SHAPE = alt.Shape("shape:N", scale=None, legend=None)
_PAINT = {"fill": alt.Fill("fill:N", scale=None, legend=None), "stroke": alt.Stroke("color:N", scale=None, legend=None)}
_BARS = ("var(--bar-1)", "var(--bar-2)", "var(--bar-3)")
_BINS = 72


@dataclass(frozen=True)
class Latency:
    """A row of `latencies`: a median, its interval, and the percentiles that are known."""

    label: str
    value: str
    mark: Mark
    median: float
    interval: tuple[float, float]
    percentiles: tuple[float, ...]


@dataclass(frozen=True)
class Spread:
    """A row of `spreads`: samples, in percent of their median."""

    label: str
    value: str
    mark: Mark
    percent: np.ndarray


@dataclass(frozen=True)
class Ratio:
    """A row of `ratios`."""

    label: str
    value: str
    mark: Mark
    ratio: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Bar:
    """A row of `bars`: parts that follow each other, and where *tick* is given, a line across."""

    label: str
    value: str
    parts: tuple[float, ...]
    color: str | None = None
    hollow: bool = False
    tick: float | None = None
    below: str = ""


@dataclass(frozen=True)
class Dot:
    """A point of `front`."""

    label: str
    mark: Mark
    x: float
    y: float
    interval: tuple[float, float]
    best: bool


def latencies(rows: Sequence[Latency], title: str) -> Any:
    """Medians with their intervals, and a thin line on to the percentiles."""
    pitch, base = 47, 29
    height = pitch * len(rows)
    ends = [(row.interval[0], max(row.interval[1], *row.percentiles, row.median)) for row in rows]
    scale = _scale(min(low for low, _ in ends), max(high for _, high in ends))
    tails, intervals, ticks, points = [], [], [], []
    for index, (row, (_, end)) in enumerate(zip(rows, ends, strict=True)):
        y, color = index * pitch + base, row.mark.color
        tails.append({"x": row.median, "x2": end, "y": y, "color": color})
        intervals.append({"x": row.interval[0], "x2": row.interval[1], "y": y, "color": color})
        ticks += [{"x": x, "y": y - 6, "y2": y + 6, "color": color} for x in row.percentiles]
        points.append(_point(row.mark, row.median, y))
    x, y = _x(scale, title), _y(height)
    return _finish(
        [
            _rails(pitch, base, len(rows), height),
            _layer(tails).mark_rule(strokeWidth=1.5).encode(x=x, x2="x2:Q", y=y, color=_COLOR),
            _layer(ticks).mark_rule(strokeWidth=2).encode(x=x, y=y, y2="y2:Q", color=_COLOR),
            _intervals(intervals, x, height),
            _points(points, x, height),
            *_texts([(row.label, row.value) for row in rows], pitch, height),
        ],
        height,
    )


def spreads(rows: Sequence[Spread], title: str) -> Any:
    """The shape of each row's samples around its own median, which is at 100 %."""
    pitch, base, tall = 64, 48, 28
    height = pitch * len(rows)
    low = min(float(np.percentile(row.percent, 0.5)) for row in rows)
    high = max(float(np.percentile(row.percent, 98)) for row in rows)
    low, high = min(low, 95.0) - 1, min(max(high, 110.0), 400.0) + 1
    edges = [float(edge) for edge in np.linspace(low, high, _BINS + 1)]
    shapes = [
        {"row": index, "x": x, "y": base + index * pitch - tall * share, "y2": base + index * pitch, "color": color}
        for index, row in enumerate(rows)
        for color in (row.mark.color,)
        for x, share in zip(edges, _heights(row.percent, edges), strict=True)
    ]
    ones = [
        {"x": 100.0, "y": index * pitch + base - tall - 3, "y2": index * pitch + base} for index in range(len(rows))
    ]
    x = _x(alt.Scale(domain=[low, high], nice=False, zero=False), title)
    return _finish(
        [
            _rails(pitch, base, len(rows), height),
            _layer(shapes)
            .mark_area(interpolate="step-after", opacity=0.8)
            .encode(x=x, y=_y(height), y2="y2:Q", detail="row:N", color=_COLOR),
            _layer(ones).mark_rule(color=_INK, strokeWidth=1.5).encode(x=x, y=_y(height), y2="y2:Q"),
            *_texts([(row.label, row.value) for row in rows], pitch, height),
        ],
        height,
    )


def ratios(rows: Sequence[Ratio], title: str, noise_floor_percent: float) -> Any:
    """Ratios with their intervals around 1; in the band around it, differences are none."""
    pitch, base = 47, 29
    height = pitch * len(rows)
    margin = noise_floor_percent / 100
    low = min((1 - margin) ** 2, *(row.interval[0] for row in rows)) / 1.04
    high = max((1 + margin) ** 2, *(row.interval[1] for row in rows)) * 1.04
    x = _x(alt.Scale(type="log", domain=[low, high], nice=False), title)
    # The band and the line at 1 stand below each row's text, not behind it.
    spots = [index * pitch + base for index in range(len(rows))]
    band = [{"x": 1 - margin, "x2": 1 + margin, "y": y - 9, "y2": y + 9} for y in spots]
    ones = [{"x": 1.0, "y": y - 9, "y2": y + 9} for y in spots]
    intervals = [
        {"x": row.interval[0], "x2": row.interval[1], "y": y, "color": row.mark.color}
        for row, y in zip(rows, spots, strict=True)
    ]
    return _finish(
        [
            _rails(pitch, base, len(rows), height),
            _layer(band).mark_rect(color=_GRID).encode(x=x, x2="x2:Q", y=_y(height), y2="y2:Q"),
            _layer(ones).mark_rule(color=_MUTED, strokeWidth=1.5).encode(x=x, y=_y(height), y2="y2:Q"),
            _intervals(intervals, x, height),
            _points([_point(row.mark, row.ratio, y) for row, y in zip(rows, spots, strict=True)], x, height),
            *_texts([(row.label, row.value) for row in rows], pitch, height),
        ],
        height,
    )


def front(dots: Sequence[Dot], x_title: str, y_title: str) -> Any:
    """Points by two figures, numbered from 1 in the order given, and the line of the best trades between the two."""
    height = 260
    scale = _scale(min(dot.interval[0] for dot in dots), max(dot.interval[1] for dot in dots))
    low, high = min(dot.y for dot in dots), max(dot.y for dot in dots)
    pad = max(0.15 * (high - low), 0.05)
    y_scale = alt.Scale(domain=[low - pad, high + pad], nice=False)
    y = alt.Y("y:Q", scale=y_scale, axis=alt.Axis(title=None, tickCount=5, orient="left", format="~r"))
    x = _x(scale, x_title)
    best = sorted((dot for dot in dots if dot.best), key=lambda dot: dot.x)
    line = [{"x": dot.x, "y": dot.y} for dot in best]
    if line:
        line.append({"x": scale.domain[1], "y": line[-1]["y"]})
    points = [{**_point(dot.mark, dot.x, dot.y), "size": 170 if dot.best else 90} for dot in dots]
    spans = [{"x": d.interval[0], "x2": d.interval[1], "y": d.y, "color": d.mark.color} for d in dots]
    layers = [
        _layer(line)
        .mark_line(interpolate="step-after", color=_MUTED, strokeDash=[5, 4], strokeWidth=1.5)
        .encode(x=x, y=y),
        _layer(spans).mark_rule(strokeWidth=2).encode(x=x, x2="x2:Q", y=y, color=_COLOR),
        _layer(points)
        .mark_point(strokeWidth=2, opacity=1)
        .encode(x=x, y=y, size=alt.Size("size:Q", scale=None, legend=None), shape=_SHAPE, **_PAINT),
        _layer([{"text": y_title}])
        .mark_text(align="left", fontSize=_SMALL_PX, color=_MUTED)
        .encode(x=alt.value(0), y=alt.value(-12), text="text:N"),
    ]
    for dot, number, (dx, dy) in zip(
        dots, range(1, len(dots) + 1), _offsets(dots, scale, y_scale, height), strict=True
    ):
        layers.append(
            _layer([{"x": dot.x, "y": dot.y, "text": str(number)}])
            .mark_text(dx=dx, dy=dy, fontSize=_TEXT_PX, fontWeight="bold" if dot.best else "normal", color=_INK)
            .encode(x=x, y=y, text="text:N")
        )
    return _finish(layers, height, width=WIDTH - 40)


def bars(rows: Sequence[Bar], title: str) -> Any:
    """Bars from zero, of one part or of several one after the other."""
    second = any(row.below for row in rows)
    pitch, top, thick = (62, 35, 12) if second else (47, 20, 12)
    height = pitch * len(rows)
    end = max(max(sum(row.parts), row.tick or 0.0) for row in rows) or 1.0
    scale = alt.Scale(domain=[0, end * 1.02], nice=False)
    parts, ticks = [], []
    for index, row in enumerate(rows):
        y, x = index * pitch + top, 0.0
        for part, color in zip(row.parts, _BARS, strict=False):
            own = row.color or color
            fill = _PAPER if row.hollow else own
            parts.append({"x": x, "x2": x + part, "y": y, "y2": y + thick, "color": own, "fill": fill})
            x += part
        if row.tick is not None:
            ticks.append({"x": row.tick, "y": y - 4, "y2": y + thick + 4})
    layers = [
        *_texts([(row.label, row.value) for row in rows], pitch, height),
        _layer(parts).mark_rect(strokeWidth=1).encode(x=_x(scale, title), x2="x2:Q", y=_y(height), y2="y2:Q", **_PAINT),
        _layer(ticks).mark_rule(color=_INK, strokeWidth=2).encode(x=_x(scale, title), y=_y(height), y2="y2:Q"),
    ]
    if second:
        below = [{"text": row.below, "y": index * pitch + 27} for index, row in enumerate(rows)]
        layers.append(
            _layer(below)
            .mark_text(align="left", fontSize=_SMALL_PX, color=_MUTED, limit=WIDTH)
            .encode(x=alt.value(0), y=_y(height), text="text:N")
        )
    return _finish(layers, height)


def _texts(rows: Sequence[tuple[str, str]], pitch: int, height: int) -> list[Any]:
    """A row's name on the left and its figure on the right."""
    values = [{"label": label, "value": value, "y": index * pitch + 9} for index, (label, value) in enumerate(rows)]
    shared = {"baseline": "middle", "fontSize": _TEXT_PX, "color": _INK}
    return [
        _layer(values)
        .mark_text(align="left", limit=_LEFT_PX, **shared)
        .encode(x=alt.value(0), y=_y(height), text="label:N"),
        _layer(values)
        .mark_text(align="right", limit=_RIGHT_PX, fontWeight="bold", **shared)
        .encode(x=alt.value(WIDTH), y=_y(height), text="value:N"),
    ]


def _scale(low: float, high: float) -> Any:
    """An axis for what lies between *low* and *high*, with a little room on both sides."""
    if low > 0 and high / low >= _LOGARITHMIC_FROM:
        room = (high / low) ** 0.04
        return alt.Scale(type="log", domain=[low / room, high * room], nice=False)
    room = 0.04 * (high - low) or 0.05 * high
    return alt.Scale(type="linear", domain=[max(0.0, low - room), high + room], nice=False, zero=False)


def _heights(samples: np.ndarray, edges: Sequence[float]) -> list[float]:
    """The shape of *samples*: how many fall in each bin, as a share of the fullest one; one for each edge."""
    counts, _ = np.histogram(samples, bins=np.asarray(edges))
    fullest = counts.max() or 1
    return [float(share) for share in (*(counts / fullest), 0.0)]


def _offsets(dots: Sequence[Dot], x_scale: Any, y_scale: Any, height: int) -> list[tuple[int, int]]:
    """Where each point's number stands, from the point: at the first place that is free of others and of points."""

    def pixel(value: float, scale: Any, span: float) -> float:
        low, high = scale.domain
        if scale.type == "log":
            value, low, high = np.log(value), np.log(low), np.log(high)
        return float(span * (value - low) / (high - low))

    spots = [(pixel(d.x, x_scale, WIDTH - 40), height - pixel(d.y, y_scale, height)) for d in dots]
    taken = list(spots)
    found = []
    for x, y in spots:
        offsets = [(dx, dy) for dy in (-14, 15, -28, 29, -42, 43) for dx in (0, 11, -11)]
        free = (
            (dx, dy)
            for dx, dy in offsets
            if all(abs(x + dx - a) > 13 or abs(y + dy - b) > 12 for a, b in taken) and 0 < y + dy < height
        )
        dx, dy = next(free, offsets[0])
        taken.append((x + dx, y + dy))
        found.append((dx, dy))
    return found


def _point(mark: Mark, x: float, y: float) -> dict[str, Any]:
    fill = _PAPER if mark.hollow else mark.color
    return {"x": x, "y": y, "color": mark.color, "fill": fill, "shape": mark.shape}


def _points(points: list[dict[str, Any]], x: Any, height: int) -> Any:
    """A light rim lifts a point off the interval that it stands on."""
    halo = [{**point, "color": _PAPER} for point in points]
    encoding: Mapping[str, Any] = {"x": x, "y": _y(height), "shape": _SHAPE, **_PAINT}
    return alt.layer(
        _layer(halo).mark_point(size=90, strokeWidth=5, opacity=1).encode(**encoding),
        _layer(points).mark_point(size=90, strokeWidth=2, opacity=1).encode(**encoding),
    )


def _intervals(intervals: list[dict[str, Any]], x: Any, height: int) -> Any:
    return (
        _layer(intervals)
        .mark_rule(strokeWidth=6, strokeCap="round", opacity=0.55)
        .encode(x=x, x2="x2:Q", y=_y(height), color=_COLOR)
    )


def _rails(pitch: int, base: int, count: int, height: int) -> Any:
    """What the rows' drawings stand on, from edge to edge."""
    values = [{"y": index * pitch + base} for index in range(count)]
    return _layer(values).mark_rule(color=_GRID).encode(x=alt.value(0), x2=alt.value(WIDTH), y=_y(height))


def _layer(values: list[dict[str, Any]]) -> Any:
    # Altair copies lists with every call, but not tuples.
    return alt.Chart(alt.Data(values=tuple(values)))


def _x(scale: Any, title: str) -> Any:
    axis = alt.Axis(title=title + (" (logarithmic)" if scale.type == "log" else ""), tickCount=5, format="~r")
    return alt.X("x:Q", scale=scale, axis=axis)


def _y(height: int) -> Any:
    return alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False, zero=False), axis=None)


def _finish(layers: Sequence[Any], height: int, width: int = WIDTH) -> Any:
    text = {"labelColor": _MUTED, "titleColor": _MUTED, "labelFontSize": _SMALL_PX, "titleFontSize": _SMALL_PX}
    axis = {**text, "domainColor": _MUTED, "tickColor": _MUTED, "gridColor": _GRID, "titleFontWeight": "normal"}
    return (
        alt.layer(*layers)
        .properties(
            width=width, height=height, background="transparent", padding={"left": 8, "right": 8, "top": 2, "bottom": 2}
        )
        .configure(aria=False, font="sans-serif")
        .configure_view(stroke=None)
        .configure_axis(**axis, labelFlush=True, labelOverlap="greedy", gridDash=[2, 3])
    )
