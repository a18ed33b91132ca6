"""Ordered pairs as the paper's Figs. 5 and 6: each thing under two conditions, the trend line, and the correlations."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from medarts_ops.pictures.figures import (
    CAPTION_LINE,
    INK,
    LABEL_SIZE,
    axes_at,
    caption_lines,
    colour,
    in_percent,
    label_points,
    new_figure,
    plain_axes,
    write_caption,
)
from medarts_ops.pictures.pages import page_of, plain_text
from medarts_ops.summary import Pairs, Point, Summary
from medarts_ops.summary_text import statistic_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, LEFT, BESIDE, TOP, FOOT = 5.2, 0.75, 3.9, 0.55, 0.62
WIDTH = LEFT + SIDE + BESIDE
LINE = 0.165  # inches of a line of the statistics
LABELLED = 20  # points with their name beside them; more would be noise, and the page has all in its hover texts
SHAPES = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
"""The groups' shapes, as matplotlib and as plotly name them."""


def pairs_figure(summary: Summary, pairs: Pairs) -> Figure:
    """A square with one scale on both axes, in %; a colour and a shape for each group, dashed the trend line.

    Beside it stand the groups, the line and the statistics, published ones named as such. Points that are not finite
    have no place.
    """
    points, caption = _finite(pairs), caption_lines(summary.caption, WIDTH)
    foot = FOOT + CAPTION_LINE * len(caption)
    figure = new_figure(WIDTH, TOP + SIDE + foot, summary.title)
    axes = axes_at(figure, LEFT, foot, SIDE, SIDE, "pairs")
    plain_axes(axes, in_percent(pairs.x_label), in_percent(pairs.y_label))
    (x_low, x_high), (y_low, y_high) = _limits(points)
    axes.set(xlim=(x_low, x_high), ylim=(y_low, y_high))
    line = _line(pairs, points)
    if line is not None:
        axes.plot(*np.transpose(line), color=INK, linestyle="--", linewidth=1.2, label=_trend(pairs), gid="trend")
    for place, group in enumerate(_groups(points)):
        xs, ys = np.transpose([(100 * one.x, 100 * one.y) for one in points if one.group == group])
        marker = list(SHAPES)[place % len(SHAPES)]
        axes.scatter(xs, ys, s=46, marker=marker, color=colour(place), alpha=0.85, zorder=3, label=group or "pairs")
    if not points:
        axes.text(0.5, 0.5, "no pair yet", transform=axes.transAxes, ha="center", color=INK)
    if len(points) <= LABELLED:
        label_points(axes, [(100 * one.x, 100 * one.y, one.subject, INK) for one in points])
    _write_beside(figure, axes, summary, foot)
    write_caption(figure, caption)
    return figure


def pairs_html(summary: Summary, pairs: Pairs) -> str:
    """The same as a page: hovering tells subject, conditions and both values."""
    import plotly.graph_objects as go

    figure, points = go.Figure(), _finite(pairs)
    for place, group in enumerate(_groups(points)):
        members = [one for one in points if one.group == group]
        symbol = list(SHAPES.values())[place % len(SHAPES)]
        figure.add_scatter(
            x=[100 * one.x for one in members],
            y=[100 * one.y for one in members],
            mode="markers",
            name=plain_text([group or "pairs"]),
            marker={"color": colour(place), "symbol": symbol, "size": 10},
            hovertext=[plain_text(_told(one, pairs)) for one in members],
            hoverinfo="text",
        )
    line = _line(pairs, points)
    if line is not None:
        xs, ys = np.transpose(line)
        style = {"color": INK, "dash": "dash", "width": 1.5}
        figure.add_scatter(x=list(xs), y=list(ys), mode="lines", name=_trend(pairs), line=style, hoverinfo="skip")
    x_limits, y_limits = _limits(points)
    figure.update_xaxes(range=x_limits, constrain="domain")
    figure.update_yaxes(range=y_limits, constrain="domain", scaleanchor="x", scaleratio=1)
    x_label, y_label = in_percent(pairs.x_label), in_percent(pairs.y_label)
    notes = [*map(statistic_line, summary.statistics), *caption_lines(summary.caption, WIDTH)]
    return page_of(figure, title=summary.title, notes="\n".join(notes), x=x_label, y=y_label)


def _finite(pairs: Pairs) -> list[Point]:
    return [one for one in pairs.points if math.isfinite(one.x) and math.isfinite(one.y)]


def _groups(points: list[Point]) -> list[str]:
    """In the order in which they come."""
    return list(dict.fromkeys(one.group for one in points))


def _limits(points: list[Point]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Both axes' ends in %: equally long, so that a percent is as wide as it is high, each around its own values."""
    ends = []
    for values in ([one.x for one in points], [one.y for one in points]):
        ends.append((100 * min(values, default=0.0), 100 * max(values, default=1.0)))
    half = 0.56 * (max(high - low for low, high in ends) or 1.0)
    (x, y) = ((low + high) / 2 for low, high in ends)
    return (x - half, x + half), (y - half, y + half)


def _line(pairs: Pairs, points: list[Point]) -> list[tuple[float, float]] | None:
    """The trend line's two ends in %, from the least to the greatest x."""
    if pairs.slope is None or pairs.intercept is None or not points:
        return None
    ends = min(one.x for one in points), max(one.x for one in points)
    return [(100 * x, 100 * (pairs.slope * x + pairs.intercept)) for x in ends]


def _trend(pairs: Pairs) -> str:
    assert pairs.slope is not None and pairs.intercept is not None, "there is a line"
    sign = "+" if pairs.intercept >= 0 else "−"
    return f"trend: y = {pairs.slope:.2f} x {sign} {100 * abs(pairs.intercept):.1f} %".replace("-", "−")


def _write_beside(figure: Figure, axes: Axes, summary: Summary, foot: float) -> None:
    """The legend, and beneath it the statistics as far as there is room."""
    width, height = figure.get_size_inches()
    left = (LEFT + SIDE + 0.2) / width
    style: dict[str, Any] = {"loc": "upper left", "frameon": False, "borderaxespad": 0.0, "alignment": "left"}
    handles = [*axes.lines, *axes.collections]
    labels = [str(one.get_label()) for one in handles]
    beneath = 1 - TOP / height
    if handles:
        blank = ["-"] * len(handles)  # a label that begins with `_` would be left out
        legend = figure.legend(handles, blank, fontsize=LABEL_SIZE, bbox_to_anchor=(left, beneath), **style)
        for entry, label in zip(legend.get_texts(), labels, strict=True):
            entry.set(text=label, parse_math=False)
        beneath = legend.get_window_extent().y0 / figure.bbox.height - 0.15 / height
    lines: list[str] = []
    for one in summary.statistics:
        whole = statistic_line(one).replace("n = ", "n\u00a0=\u00a0")  # where no line ends
        lines += textwrap.wrap(whole, 52, subsequent_indent="   ")
    room = int((beneath * height - foot) / LINE)
    if len(lines) > room:
        lines = [*lines[: room - 1], "… the rest stands in the report"]
    style = {"fontsize": LABEL_SIZE, "color": INK, "linespacing": 1.35, "parse_math": False}
    figure.text(left, beneath, "\n".join(lines), va="top", **style)


def _told(point: Point, pairs: Pairs) -> list[str]:
    axes = ((in_percent(pairs.x_label), point.x), (in_percent(pairs.y_label), point.y))
    return [point.subject, *([point.group] if point.group else []), *(f"{label}: {100 * v:.2f}" for label, v in axes)]
