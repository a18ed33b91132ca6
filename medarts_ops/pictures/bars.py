"""A bar for each thing compared: its mean, the mean's interval, the single seeds, and what somebody published."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from medarts_ops.pictures.figures import (
    CAPTION_LINE,
    INK,
    LABEL_SIZE,
    TEXT_SIZE,
    axes_at,
    caption_lines,
    in_percent,
    new_figure,
    plain_axes,
    write_caption,
)
from medarts_ops.pictures.pages import page_of, plain_text
from medarts_ops.pictures.parameters import OURS, PAPER
from medarts_ops.summary import Bar, Bars, Column, Estimate, Summary
from medarts_ops.summary_text import formatted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, RIGHT, TOP, FOOT = 9.0, 1.75, 0.95, 0.62
LETTER = 0.072  # inches of one in a name, about
PUBLISHED = "published (not measured here)"
SOFT, SOLID = "#6B6B6B", 0.7
LANE = 0.3  # how far below the middle of its row a published figure is, in rows
ALIKE = 0.9
"""Where the smallest value is more than this of the largest, bars from 0 look the same: dots stand there instead."""


def bars_figure(summary: Summary, chart: Bars) -> Figure:
    """Level bars from 0, the first on top, and what each comes to in words.

    Where all are much alike there are dots, and the axis says that it does not start at 0. The whisker is the mean's
    95 % interval, of a share within what is possible; a small dot is a seed. Of what has no result a word says so.
    """
    chart = _drawable(chart)
    names = ["\n".join(textwrap.wrap(bar.label, 32, max_lines=2, placeholder=" …")) for bar in chart.bars]
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    left, caption = 0.4 + LETTER * longest, caption_lines(summary.caption, WIDTH)
    rows = max(len(names), 1)
    high, foot = rows * min(max(5.4 / rows, 0.31), 0.62), FOOT + CAPTION_LINE * len(caption)
    figure = new_figure(WIDTH, TOP + high + foot, summary.title)
    axes = axes_at(figure, left, foot, WIDTH - left - RIGHT, high, "bars")
    plain_axes(axes, _axis(chart), "")
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=TEXT_SIZE)
    axes.set_yticks([place - _lane(chart)[0] for place in range(len(names))], names, parse_math=False)
    axes.set(xlim=_limits(chart), ylim=(rows - 0.5, -0.5))
    for place, bar in enumerate(chart.bars):
        _draw(axes, place, bar, chart)
    _legend(figure, chart)
    write_caption(figure, caption)
    return figure


def bars_html(summary: Summary, chart: Bars) -> str:
    """The same as a page: hovering tells mean, deviation, interval, n, each seed's value and what is published."""
    import plotly.graph_objects as go

    figure, chart = go.Figure(), _drawable(chart)
    scale = _scale(chart)
    hover = [plain_text(_told(bar, chart)) for bar in chart.bars]
    means = [(place, bar.estimate) for place, bar in enumerate(chart.bars) if bar.estimate is not None]
    whiskers = [_whisker(one, chart) for _, one in means]
    error = {"symmetric": False, "color": INK, "array": [up for _, up in whiskers]}
    up, thick = _lane(chart)
    shared = _points([(place, scale * one.mean) for place, one in means], hover, up) | {"name": "measured here"}
    shared["error_x"] = error | {"arrayminus": [down for down, _ in whiskers]}
    if _from_zero(chart):
        figure.add_bar(orientation="h", width=thick, marker={"color": OURS, "opacity": SOLID}, **shared)
    else:
        figure.add_scatter(mode="markers", marker={"color": OURS, "size": 12}, **shared)
    seeds = [(place, scale * value) for place, bar in enumerate(chart.bars) for value in _single(bar)]
    dots = {"color": INK, "size": 5}
    figure.add_scatter(mode="markers", name="one seed", marker=dots, **_points(seeds, hover, up))
    published = [(place, scale * bar.published) for place, bar in enumerate(chart.bars) if bar.published is not None]
    diamonds = {"color": PAPER, "size": 11, "symbol": "diamond"}
    figure.add_scatter(mode="markers", name=PUBLISHED, marker=diamonds, **_points(published, hover, -LANE))
    for place, bar in enumerate(chart.bars):
        if bar.estimate is None:
            words = {"text": _missing(bar), "showarrow": False, "xanchor": "left"}
            figure.add_annotation(x=_limits(chart)[0], y=place - up, **words)
    labels = [plain_text([bar.label]) for bar in chart.bars]
    figure.update_yaxes(tickvals=[place - up for place in range(len(labels))], ticktext=labels, automargin=True)
    figure.update_yaxes(range=[len(labels) - 0.5, -0.5])
    figure.update_xaxes(range=_limits(chart))
    notes = "\n".join(caption_lines(summary.caption, WIDTH))
    return page_of(figure, title=summary.title, notes=notes, x=_axis(chart), y="")


def _drawable(chart: Bars) -> Bars:
    """The chart without what is not finite: it has no place."""
    bars = []
    for bar in chart.bars:
        estimate, published = bar.estimate, bar.published
        if estimate is not None and not _finite(estimate.mean):
            estimate = None
        elif estimate is not None and not (_finite(estimate.low) and _finite(estimate.high)):
            estimate = replace(estimate, low=None, high=None)
        values = tuple(value for value in bar.values if _finite(value))
        bars.append(Bar(bar.label, estimate, values, published if _finite(published) else None))
    return replace(chart, bars=tuple(bars))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _from_zero(chart: Bars) -> bool:
    """Whether bars say something; their length means something only where they start at 0."""
    values = [value for bar in chart.bars for value in _ends(bar)]
    return len(values) < 2 or min(values) <= ALIKE * max(values)


def _axis(chart: Bars) -> str:
    label = in_percent(chart.unit) if chart.is_share else chart.unit
    return f"{label}; the axis does not start at 0" if _limits(chart)[0] > 0 else label


def _ends(bar: Bar) -> Iterator[float]:
    """The values that are compared: its mean, and what is published."""
    if bar.estimate is not None:
        yield bar.estimate.mean
    if bar.published is not None:
        yield bar.published


def _single(bar: Bar) -> tuple[float, ...]:
    """The seeds' values, where they are not the mean itself."""
    return bar.values if len(bar.values) > 1 else ()


def _scale(chart: Bars) -> float:
    return 100.0 if chart.is_share else 1.0


def _whisker(estimate: Estimate, chart: Bars) -> tuple[float, float]:
    """From the mean to both ends of its interval, on the axis' scale; 0 where there is none."""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return 0.0, 0.0
    if chart.is_share:
        low, high = max(low, 0.0), min(high, 1.0)
    return _scale(chart) * (estimate.mean - low), _scale(chart) * (high - estimate.mean)


def _limits(chart: Bars) -> tuple[float, float]:
    """The axis' ends: all values and whiskers, with a margin; from 0 where bars are."""
    scale = _scale(chart)
    ends = [scale * value for bar in chart.bars for value in (*_ends(bar), *bar.values)]
    for bar in chart.bars:
        if bar.estimate is not None:
            down, up = _whisker(bar.estimate, chart)
            ends += [scale * bar.estimate.mean - down, scale * bar.estimate.mean + up]
    low, high = min(ends, default=0.0), max(ends, default=scale)
    if _from_zero(chart):
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.04 * (high - low) or 0.02 * scale
    return (max(low - margin, 0.0) if low >= 0 else low - margin), high + margin


def _lane(chart: Bars) -> tuple[float, float]:
    """How far above the middle of its row a bar is, and how thick, where there is room for what is published."""
    return (0.12, 0.5) if any(bar.published is not None for bar in chart.bars) else (0.0, 0.62)


def _draw(axes: Axes, place: int, bar: Bar, chart: Bars) -> None:
    """A row: what is published has a lane of its own below the bar, so that it hides nothing."""
    scale, value = _scale(chart), Column("value", "", "share" if chart.is_share else "number")
    usual = max((one.estimate.n for one in chart.bars if one.estimate is not None), default=None)
    up, thick = _lane(chart)
    middle = place - up
    beside: dict[str, Any] = {"va": "center", "fontsize": LABEL_SIZE, "parse_math": False}
    beside["transform"] = axes.get_yaxis_transform()
    if bar.estimate is None:
        axes.text(0.01, middle, _missing(bar), style="italic", color=SOFT, **beside)
    else:
        mean = scale * bar.estimate.mean
        if _from_zero(chart):
            axes.barh(middle, mean, height=thick, color=OURS, alpha=SOLID, gid="mean")
        else:
            axes.scatter([mean], [middle], s=110, color=OURS, alpha=SOLID, zorder=3, gid="mean")
        if bar.estimate.low is not None:
            whisker = [[side] for side in _whisker(bar.estimate, chart)]
            axes.errorbar(mean, middle, xerr=whisker, color=INK, capsize=4, elinewidth=1.4, zorder=4, gid="interval")
        axes.text(1.015, middle, formatted(bar.estimate, value, usual), color=INK, **beside)
    single = [scale * one for one in _single(bar)]
    spread = [middle + 0.6 * thick * (number / max(len(single) - 1, 1) - 0.5) for number in range(len(single))]
    dot: dict[str, Any] = {"s": 16, "color": "white", "edgecolors": INK, "linewidths": 0.9, "gid": "seed"}
    axes.scatter(single, spread, zorder=5, **dot)
    if bar.published is not None:
        at, lane = [scale * bar.published], [place + LANE]
        axes.scatter(at, lane, s=48, marker="D", color=PAPER, zorder=6, gid="published")


def _legend(figure: Figure, chart: Bars) -> None:
    """Only what there is."""
    from matplotlib.lines import Line2D

    shape = {"marker": "s" if _from_zero(chart) else "o", "markersize": 9, "color": OURS, "alpha": SOLID}
    dot = {"marker": "o", "markersize": 4, "color": INK, "markerfacecolor": "white"}
    diamond = {"marker": "D", "markersize": 6, "color": PAPER}
    estimates = [bar.estimate for bar in chart.bars if bar.estimate is not None]
    entries: list[tuple[str, dict[str, Any]]] = []
    if estimates:
        entries.append(("mean, measured here", shape))
    if any(one.low is not None for one in estimates):
        entries.append(("95 % interval of the mean", {"color": INK, "linestyle": "-", "linewidth": 1.4, "marker": "|"}))
    if any(_single(bar) for bar in chart.bars):
        entries.append(("one seed", dot))
    if any(bar.published is not None for bar in chart.bars):
        entries.append((PUBLISHED, diamond))
    handles = [Line2D([], [], label=label, **{"linestyle": ""} | look) for label, look in entries]
    style: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 1 - 0.5 / figure.get_figheight())}
    if handles:
        figure.legend(handles=handles, ncols=4, frameon=False, fontsize=LABEL_SIZE, **style)


def _missing(bar: Bar) -> str:
    return "no result" if bar.published is None else "not measured here"


def _points(points: list[tuple[int, float]], hover: list[str], up: float) -> dict[str, Any]:
    """Plotly's arguments for points so far above the middle of their rows, each with its bar's words."""
    heights, words = [place - up for place, _ in points], [hover[place] for place, _ in points]
    return {"x": [value for _, value in points], "y": heights, "hoverinfo": "text", "hovertext": words}


def _told(bar: Bar, chart: Bars) -> list[str]:
    """All that there is to say of a bar, line by line."""
    value = Column("value", "", "share" if chart.is_share else "number")
    lines = [bar.label]
    if bar.estimate is None:
        lines.append(_missing(bar))
    else:
        lines.append(f"measured here: {formatted(bar.estimate, value)}, n = {bar.estimate.n}")
        if bar.estimate.low is not None:
            low, high = formatted(bar.estimate.low, value), formatted(bar.estimate.high, value)
            lines.append(f"95 % interval of the mean: {low} to {high}")
        lines += [f"each seed: {', '.join(formatted(one, value) for one in _single(bar))}"] if _single(bar) else []
    if bar.published is not None:
        lines.append(f"{PUBLISHED}: {formatted(bar.published, value)}")
    return lines
