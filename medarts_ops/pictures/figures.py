"""What all figures share: colours, sizes, labels, and the way to PNG and SVG. Never pyplot, so nothing is global."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Draw = Callable[[], "Figure"]

DPI = 150
TITLE_SIZE = 11
TEXT_SIZE = 9
LABEL_SIZE = 8

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B38600", "#4D4D4D", "#882255", "#6A5ACD")
"""Told apart by colour-blind people (after Okabe and Ito 2008), each dark enough for a line on white."""

INK = "#222222"
PALE = "#9A9A9A"
ACCURACY_COLOURS = "cividis"
"""Dark is low, light is high, for every kind of colour vision."""

MARKERS = {"random": "o", "inherited": "s", "crossover": "^", "nodewise": "v", "mutation": "D", "consensus": "p"}
"""The shape of an individual, by its origin."""

ORIGINS = {
    "random": "random",
    "inherited": "inherited",
    "crossover": "crossover child",
    "nodewise": "node-wise child",
    "mutation": "mutant",
    "consensus": "consensus child",
}


def colour(place: int) -> str:
    """The colour of the thing at that place; colours come again after eight."""
    return PALETTE[place % len(PALETTE)]


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty white figure of `width` × `height` inches with a title of two lines at most, taken as it is (no TeX)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    letters = max(int(10 * width), 20)  # an inch of words has about ten
    lines = textwrap.wrap(title, letters, max_lines=2, placeholder=" …")
    figure.suptitle("\n".join(lines), fontsize=TITLE_SIZE, color=INK, parse_math=False)
    return figure


def in_percent(label: str) -> str:
    """The label of an axis on which shares stand in percent: with that unit, once."""
    return label if label.endswith("(%)") else f"{label} (%)"


CAPTION_LINE = 0.16
"""Inches of a line of a caption."""


def caption_lines(text: str, width: float) -> list[str]:
    """A caption in lines of a figure of `width` inches."""
    return textwrap.wrap(text, max(int(13.5 * width), 20))


def write_caption(figure: Figure, lines: Sequence[str]) -> None:
    """Write a caption's lines at the figure's foot."""
    width, height = figure.get_size_inches()
    place = {"x": 0.12 / width, "y": 0.1 / height, "ha": "left", "va": "bottom"}
    figure.text(s="\n".join(lines), fontsize=LABEL_SIZE, color=INK, linespacing=1.35, parse_math=False, **place)


def axes_at(figure: Figure, x: float, y: float, wide: float, high: float, label: str) -> Axes:
    """Axes of `wide` × `high` inches whose lower left corner is at (x, y), in inches from the figure's."""
    width, height = figure.get_size_inches()
    return figure.add_axes((x / width, y / height, wide / width, high / height), label=label)


def plain_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Label both axes and draw a light grid behind the data."""
    axes.set_xlabel(x, fontsize=TEXT_SIZE, parse_math=False)
    axes.set_ylabel(y, fontsize=TEXT_SIZE, parse_math=False)
    axes.set_title(title, fontsize=TEXT_SIZE, color=INK, parse_math=False)
    axes.tick_params(labelsize=LABEL_SIZE)
    axes.grid(True, color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


CHANCE: Mapping[str, Any] = {"color": INK, "linestyle": (0, (1, 2)), "linewidth": 1.0}
"""How the accuracy of guesses is drawn."""


def origin_handles(origins: Collection[str]) -> list[Line2D]:
    """A legend's entries for individuals of these origins."""
    from matplotlib.lines import Line2D

    styles = {"color": INK, "linestyle": ""}
    return [
        Line2D([], [], marker=marker, label=ORIGINS[origin], **styles)  # type: ignore[arg-type]
        for origin, marker in MARKERS.items()
        if origin in origins
    ]


OFFSETS = tuple(
    (distance * x, distance * y, side, height)
    for distance in (7, 16, 27, 40, 56, 74)
    for x, y, side, height in (
        (0.8, -0.5, "left", "top"),
        (-0.8, 0.5, "right", "bottom"),
        (0.8, 0.5, "left", "bottom"),
        (-0.8, -0.5, "right", "top"),
        (1.0, 0.0, "left", "center"),
        (-1.0, 0.0, "right", "center"),
        (0.0, 1.0, "center", "bottom"),
        (0.0, -1.0, "center", "top"),
    )
)
"""Where a label may stand from its point, in points, the most wanted first."""

POINT = 8  # half the width of a point, in pixels
NEAR = 13  # a label that is farther from its point, in points, is joined to it by a line


def label_points(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Write (x, y, text, colour) beside their points such that no text lies on another one or on a point.

    Call it when all points are drawn and the layout is final. Where all places of a label are taken it is left out:
    what it stands for is drawn anyway, and two texts on top of each other say nothing.
    """
    from matplotlib.path import Path as Line
    from matplotlib.transforms import Bbox

    axes.autoscale_view()  # otherwise limits wait for the first drawing
    pixels = [tuple(axes.transData.transform((x, y))) for x, y, _, _ in points]
    taken = [Bbox.from_extents(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in pixels]
    frame = axes.get_window_extent()
    for place, (x, y, text, ink) in enumerate(points):
        for right, up, side, height in OFFSETS:
            label = axes.annotate(
                text,
                (x, y),
                xytext=(right, up),
                textcoords="offset points",
                ha=side,
                va=height,
                fontsize=LABEL_SIZE,
                color=ink,
                parse_math=False,
            )
            box = label.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            others = taken[:place] + taken[place + 1 :]
            far = abs(right) + abs(up) > NEAR
            start, scale = pixels[place], DPI / 72
            line = Line([start, (start[0] + scale * right, start[1] + scale * up)])
            crossing = far and any(line.intersects_bbox(other) for other in others)
            if inside and not crossing and not any(box.overlaps(other) for other in others):
                taken.append(box)
                if far:
                    arrow = {"arrowstyle": "-", "color": PALE, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
                    axes.annotate("", (x, y), xytext=(right, up), textcoords="offset points", arrowprops=arrow)
                break
            label.remove()


def drawn_png(draw: Draw) -> bytes:
    """The figure that `draw` makes as a PNG, by matplotlib's defaults whatever is set: TeX, say, may not be there."""
    from matplotlib import style

    with style.context("default"), _without_a_word_on_letters():
        return png_bytes(draw())


def drawn_svg(draw: Draw) -> tuple[bytes, tuple[float, float]]:
    """As `drawn_png`, but as an SVG, letters as outlines; and width and height in inches."""
    from matplotlib import style

    with style.context(["default", {"svg.hashsalt": "medarts"}]), _without_a_word_on_letters():
        figure, buffer = draw(), io.BytesIO()
        figure.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    width, height = figure.get_size_inches()
    return buffer.getvalue(), (float(width), float(height))


@contextmanager
def _without_a_word_on_letters() -> Iterator[None]:
    """A name may have letters that no font here has: they are boxes, and matplotlib warns of each, as it is written."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)
        yield


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG of its size in inches times its dpi; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
