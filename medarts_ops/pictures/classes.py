"""What a network takes for what: its confusion matrix, and the mistakes that it was surest of, as pictures."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.class_report import ClassReport, Mistake
from medarts_ops.pictures.figures import INK, LABEL_SIZE, TEXT_SIZE, axes_at, new_figure
from medarts_ops.quantities import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 100
"""Classes up to which every class is named and counts are written (ours)."""

ALL_COUNTED = 40
"""Classes up to which all counts are written; of more, those of `WORTH_WRITING` of their row (ours)."""

WORTH_WRITING = 0.05
ROOMY = 0.8  # inches of a cell that has room for a share below its count

WIDEST = 22.0  # inches of a matrix
LONGEST_NAME = 22  # letters of a class's name
SHARES = "Blues"
DARK = 0.55  # the share from which on light letters are read better

TILE, GAP, WORDS = 1.25, 0.2, 0.62  # inches of a mistake's picture, between two, and below one
TILES_A_ROW = 6


def confusion_figure(report: ClassReport, name: str) -> Figure:
    """How often each class (rows) is taken for each (columns): counts, on a colour that is their share of the row."""
    counts = np.array(report.confusion)
    n = len(counts)
    cell = min(1.0, max(0.22, 5.5 / n), WIDEST / n)
    letters = min(float(LABEL_SIZE), 50 * cell)
    names = [_short(one.name) for one in report.classes]
    # A letter is some 0.6 of its height wide; above are two lines of a title, below the axis's own words.
    longest = max(map(len, names)) * 0.6 * letters / 72
    left, bottom, side = longest + 0.75, longest + 0.45, cell * n
    size = max(left + side + 0.9, 4.2), bottom + side + 0.7
    figure = new_figure(*size, f"{name}: what its test images are taken for")
    axes = axes_at(figure, left, bottom, side, side, "confusion")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    named = range(0, n, -(-n // MOST_NAMED))
    axes.set_xticks(named, [names[place] for place in named], rotation=90, fontsize=letters, parse_math=False)
    axes.set_yticks(named, [names[place] for place in named], fontsize=letters, parse_math=False)
    left_out = f" (counts below {100 * WORTH_WRITING:g} % of a row are not written)"
    axes.set_xlabel(f"taken for{left_out if ALL_COUNTED < n <= MOST_NAMED else ''}", fontsize=TEXT_SIZE)
    axes.set_ylabel("class", fontsize=TEXT_SIZE)
    axes.tick_params(length=0)
    if n <= MOST_NAMED:
        written = (counts > 0) & (shares >= (WORTH_WRITING if n > ALL_COUNTED else 0))
        _write_counts(axes, counts, shares, written, cell)
    scale = axes_at(figure, left + side + 0.15, bottom, 0.12, side, "scale")
    bar = figure.colorbar(image, cax=scale, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0 %", "50 %", "100 %"], fontsize=LABEL_SIZE)
    return figure


def mistakes_figure(report: ClassReport, name: str) -> Figure:
    """The wrong answers that it was surest of, the surest first: image, class → answer, probability.

    Mistakes whose image is not kept are left out.
    """
    shown = [mistake for mistake in report.mistakes if mistake.png is not None]
    columns, rows = min(TILES_A_ROW, max(len(shown), 3)), -(-len(shown) // TILES_A_ROW)
    step, high = TILE + GAP, TILE + WORDS
    figure = new_figure(columns * step + GAP, rows * high + 0.75, f"{name}: the mistakes it was surest of")
    for place, mistake in enumerate(shown):
        row, column = divmod(place, TILES_A_ROW)
        bottom = (rows - row - 1) * high + WORDS + 0.05
        axes = axes_at(figure, GAP + column * step, bottom, TILE, TILE, f"mistake {place}")
        _show(axes, mistake)
        label, predicted = (_short(report.classes[each].name) for each in (mistake.label, mistake.predicted))
        name = _short(mistake.name.rpartition("/")[2])  # the folder is the class, mostly
        words = f"{label}\n→ {predicted}\n{percent(mistake.probability)}\n{name}"
        axes.set_xlabel(words, fontsize=LABEL_SIZE - 1, color=INK, linespacing=1.2, labelpad=3, parse_math=False)
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray, written: np.ndarray, cell: float) -> None:
    """Write those that are `written [class, class]`; the more digits, the smaller."""
    letters = min(float(TEXT_SIZE), 26 * cell)
    for row, column in np.argwhere(written):
        count, share = f"{counts[row, column]}", shares[row, column]
        text = f"{count}\n{100 * share:.0f} %" if cell >= ROOMY else count
        size = letters * min(1.0, 4 / len(count))
        ink = "white" if share > DARK else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=ink)


def _show(axes: Axes, mistake: Mistake) -> None:
    from matplotlib.image import imread

    image = imread(io.BytesIO(base64.b64decode(mistake.png or "")), format="png")
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_anchor("S")
    axes.set_xticks([])
    axes.set_yticks([])


def _short(name: str) -> str:
    """Without its middle, if it is long: names of classes often differ at their ends."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half + 1 :]}"
