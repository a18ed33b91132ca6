"""Who comes from whom: from the random individuals of the first stage to the genotype that was found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.individual import Individual, SearchResult, lineage_of
from medarts_ops.pictures.figures import (
    ACCURACY_COLOURS,
    INK,
    LABEL_SIZE,
    MARKERS,
    PALE,
    TEXT_SIZE,
    axes_at,
    new_figure,
    origin_handles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

HIGHLIGHT = "#D55E00"
ENDED = {"failed": "x", "pruned": "_"}
"""The marks of individuals that were not ranked."""

COLUMN, ROW = 2.1, 0.42
ABOVE = -0.45
"""The row of a line over all individuals."""

LEFT, RIGHT, TOP, BOTTOM = 0.5, 1.1, 0.95, 0.6
TALLEST = 40.0
"""Inches; rows of larger populations stand closer, and only the found one's ancestry keeps its names."""


@dataclass(frozen=True)
class Relative:
    """An individual's place in the tree: stage and row from 0; `accuracy` None where it was `pruned`, or failed."""

    individual: Individual
    row: int
    accuracy: float | None
    pruned: bool = False


def relatives(result: SearchResult) -> dict[str, Relative]:
    """Everybody of a search by id, a stage's individuals from best to worst, pruned ones behind, failed ones last."""
    found: dict[str, Relative] = {}
    for stage in result.stages:
        accuracies = {ranked.id: ranked.trained.valid_accuracy for ranked in stage.ranked}
        pruned = {one.individual.id for one in stage.pruned}
        for row, one in enumerate(stage.individuals):
            found[one.id] = Relative(one, row, accuracies.get(one.id), pruned=one.id in pruned)
    return found


def lineage_figure(result: SearchResult) -> Figure:
    """The family tree of a search: stages as columns, best on top, lines to parents, colour is acc_valid.

    The ancestry of the individual that the search found is highlighted; its genotype's identity stands at the end. A
    child of several has a solid line to the first parent, which gave a crossover child its normal cell, and dashed ones
    to the others. A cross is an individual that failed, a dash one that was pruned.
    """
    people = relatives(result)
    kin = frozenset(individual.id for individual in lineage_of(result.stages, result.best.id))
    rows = max(len(stage.individuals) for stage in result.stages)
    width = max(LEFT + COLUMN * (len(result.stages) + 1) + RIGHT, 6.5)
    wanted = TOP + ROW * rows + BOTTOM
    height = max(min(wanted, TALLEST), 3.0)
    figure = new_figure(width, height, f"lineage of {result.search_id}")
    axes = axes_at(figure, LEFT, BOTTOM, width - LEFT - RIGHT, height - TOP - BOTTOM, "tree")
    axes.set_xlim(-0.25, len(result.stages) + 0.4)
    axes.set_ylim(max(rows, 2) - 0.4, -0.6)
    columns = [*(f"stage {stage.index}: {stage.name.replace('$', '')}" for stage in result.stages), "found"]
    axes.set_xticks(range(len(columns)), columns, fontsize=TEXT_SIZE)
    axes.set_yticks([])
    axes.set_ylabel("rank (best on top)", fontsize=TEXT_SIZE)
    axes.tick_params(axis="x", length=0, pad=4, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    _draw_lines(axes, people, kin)
    _draw_people(figure, axes, people)
    _draw_names(axes, people, kin, everybody=wanted <= TALLEST)
    _draw_found(axes, result, people)
    _draw_legend(figure, {one.individual.origin for one in people.values()}, any(one.pruned for one in people.values()))
    return figure


def _draw_lines(axes: Axes, people: dict[str, Relative], kin: frozenset[str]) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for child in people.values():
        for number, name in enumerate(child.individual.parents):
            parent = people.get(name)
            if parent is None:
                continue
            mine = child.individual.id in kin
            x0, x1 = parent.individual.stage, child.individual.stage
            bend = 0.45 * (x1 - x0)
            points = [(x0, parent.row), (x0 + bend, parent.row), (x1 - bend, child.row), (x1, child.row)]
            path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
            ink, line, order = (HIGHLIGHT, 2.0, 2) if mine else (PALE, 0.8, 1)
            patch = PathPatch(path, fill=False, edgecolor=ink, linewidth=line, zorder=order)
            patch.set(linestyle="--" if number else "-", gid=f"{child.individual.id} from {name}")
            axes.add_patch(patch)


def _draw_people(figure: Figure, axes: Axes, people: dict[str, Relative]) -> None:
    known = [one.accuracy for one in people.values() if one.accuracy is not None]
    low, high = 100 * min(known), 100 * max(known)
    if low == high:  # a scale has two ends
        low, high = low - 0.5, high + 0.5
    scale = {"cmap": ACCURACY_COLOURS, "vmin": low, "vmax": high, "edgecolors": INK, "linewidths": 0.8}
    for origin, marker in MARKERS.items():
        group = [
            (one.individual.stage, one.row, 100 * one.accuracy)
            for one in people.values()
            if one.accuracy is not None and one.individual.origin == origin
        ]
        columns, rows, colours = np.reshape(group, (-1, 3)).T
        dots = axes.scatter(columns, rows, c=colours, marker=marker, s=95, zorder=4, gid=origin, **scale)  # type: ignore[arg-type]
    for how, marker in ENDED.items():
        ended = [one for one in people.values() if one.accuracy is None and one.pruned == (how == "pruned")]
        columns, rows = np.reshape([(one.individual.stage, one.row) for one in ended], (-1, 2)).T
        axes.scatter(columns, rows, marker=marker, c=PALE, s=55, gid=how)
    width, height = figure.get_size_inches()
    bar = axes_at(figure, width - RIGHT + 0.25, BOTTOM, 0.14, height - TOP - BOTTOM, "bar")
    figure.colorbar(dots, cax=bar).set_label("accuracy (%)", fontsize=LABEL_SIZE)
    bar.tick_params(labelsize=LABEL_SIZE)


def _draw_names(axes: Axes, people: dict[str, Relative], kin: frozenset[str], *, everybody: bool) -> None:
    for name, one in people.items():
        if everybody or name in kin:
            text = _write_below(axes, name, one.individual.stage, one.row, 7)
            weight, ink = ("bold", HIGHLIGHT) if name in kin else ("normal", INK)
            text.set(fontsize=7, fontweight=weight, color=ink, parse_math=False, zorder=5)
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4})


def _write_below(axes: Axes, text: str, column: int, row: int, points: int) -> Annotation:
    return axes.annotate(text, (column, row), (0, -points), textcoords="offset points", ha="center", va="top")


def _draw_found(axes: Axes, result: SearchResult, people: dict[str, Relative]) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    best = result.best
    stage, row, column = best.trained.individual.stage, people[best.id].row, len(result.stages)
    points: list[tuple[float, float]] = [(stage, row), (column, row)]
    codes = [Path.MOVETO, Path.LINETO]
    if stage < column - 1:  # over the stages behind it
        up: list[tuple[float, float]] = [(stage, row), (stage + 0.25, row), (stage + 0.25, ABOVE), (stage + 0.5, ABOVE)]
        points = [*up, (column - 0.5, ABOVE), (column - 0.25, ABOVE), (column - 0.25, row), (column, row)]
        codes = [Path.MOVETO, *3 * [Path.CURVE4], Path.LINETO, *3 * [Path.CURVE4]]
    line = PathPatch(Path(points, codes), fill=False, edgecolor=HIGHLIGHT, linewidth=2.0, zorder=2)
    line.set_gid(f"found: {best.id}")
    axes.add_patch(line)
    axes.scatter([column], [row], marker="*", s=260, color=HIGHLIGHT, edgecolors=INK, linewidths=0.8, zorder=4)
    text = _write_below(axes, f"genotype\n{best.trained.genotype.identity}", column, row, 11)
    text.set(fontsize=LABEL_SIZE, color=INK)


def _draw_legend(figure: Figure, origins: Collection[str], any_pruned: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        *origin_handles(origins),
        *(
            Line2D([], [], color=PALE, marker=marker, linestyle="", label=how)
            for how, marker in ENDED.items()
            if how == "failed" or any_pruned
        ),
        Line2D([], [], color=INK, linestyle="-", label="first parent (a crossover child's normal cell)"),
        Line2D([], [], color=INK, linestyle="--", label="further parent (its reduction cell)"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=7, columnspacing=1.2)
