"""Who comes from whom: from the random individuals of the first stage to the genotype that was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.individual import Individual, SearchResult, StageResult, lineage_of
from medarts_ops.pictures.figures import (
    ACCURACY_COLOURS,
    INK,
    LABEL_SIZE,
    MARKERS,
    ORIGINS,
    PALE,
    TEXT_SIZE,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HIGHLIGHT = "#D55E00"
COLUMN, ROW = 2.1, 0.42
LEFT, RIGHT, TOP, BOTTOM = 0.5, 1.1, 0.95, 0.6
TALLEST = 40.0
"""Inches; rows of larger populations stand closer, and only the found one's ancestry keeps its names."""


@dataclass(frozen=True)
class Relative:
    """An individual's place in the tree: stage and row from 0; `accuracy` None where it failed."""

    individual: Individual
    row: int
    accuracy: float | None


def relatives(result: SearchResult) -> dict[str, Relative]:
    """Everybody of a search by id, a stage's individuals from best to worst, failed ones last."""
    found: dict[str, Relative] = {}
    for stage in result.stages:
        for row, ranked in enumerate(stage.ranked):
            found[ranked.id] = Relative(ranked.trained.individual, row, ranked.trained.valid_accuracy)
        for row, failed in enumerate(stage.failed, start=len(stage.ranked)):
            found[failed.individual.id] = Relative(failed.individual, row, None)
    return found


def ancestry(result: SearchResult) -> frozenset[str]:
    """Ids of the found individual and of all that it comes from."""
    return frozenset(individual.id for individual in lineage_of(result.stages, result.best.id))


def lineage_figure(result: SearchResult) -> Figure:
    """The family tree of a search: stages as columns, best on top, lines to parents, colour is acc_valid.

    The ancestry of the individual that the search found is highlighted; its genotype's identity stands at the end. A
    crossover child has two parents: the solid line goes to the one that gave the normal cell, the dashed one to the one
    that gave the reduction cell. A cross is an individual that failed.
    """
    people, kin = relatives(result), ancestry(result)
    rows = max(len(stage.ranked) + len(stage.failed) for stage in result.stages)
    width = max(LEFT + COLUMN * (len(result.stages) + 1) + RIGHT, 6.5)
    height = min(TOP + ROW * rows + BOTTOM, TALLEST)
    crowded = TOP + ROW * rows + BOTTOM > TALLEST
    height = max(height, 3.0)
    figure = new_figure(width, height, f"lineage of {result.search_id}")
    axes = figure.add_axes(
        (LEFT / width, BOTTOM / height, (width - LEFT - RIGHT) / width, (height - TOP - BOTTOM) / height), label="tree"
    )
    axes.set_xlim(-0.25, len(result.stages) + 0.4)
    axes.set_ylim(max(rows, 2) - 0.4, -0.6)
    axes.set_xticks(range(len(result.stages) + 1), [*map(_stage_label, result.stages), "found"], fontsize=TEXT_SIZE)
    axes.set_yticks([])
    axes.set_ylabel("rank (best on top)", fontsize=TEXT_SIZE)
    axes.tick_params(axis="x", length=0, pad=4, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    _draw_lines(axes, people, kin)
    _draw_people(figure, axes, people)
    _draw_names(axes, people, kin, everybody=not crowded)
    _draw_found(axes, result, people)
    _draw_legend(figure)
    return figure


def _stage_label(stage: StageResult) -> str:
    return f"stage {stage.index}: {stage.name.replace('$', '')}"


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
            axes.add_patch(
                PathPatch(
                    path,
                    fill=False,
                    edgecolor=HIGHLIGHT if mine else PALE,
                    linewidth=2.0 if mine else 0.8,
                    linestyle="--" if number else "-",
                    zorder=2 if mine else 1,
                    gid=f"{child.individual.id} from {name}",
                )
            )


def _draw_people(figure: Figure, axes: Axes, people: dict[str, Relative]) -> None:
    known = [one.accuracy for one in people.values() if one.accuracy is not None]
    low, high = 100 * min(known), 100 * max(known)
    if low == high:  # a scale has two ends
        low, high = low - 0.5, high + 0.5
    scale = {"cmap": ACCURACY_COLOURS, "vmin": low, "vmax": high}
    for origin, marker in MARKERS.items():
        group = [one for one in people.values() if one.accuracy is not None and one.individual.origin == origin]
        dots = axes.scatter(
            [one.individual.stage for one in group],
            [one.row for one in group],
            c=[100 * one.accuracy for one in group if one.accuracy is not None],
            marker=marker,
            s=95,
            edgecolors=INK,
            linewidths=0.8,
            zorder=4,
            gid=origin,
            **scale,  # type: ignore[arg-type]
        )
    failed = [one for one in people.values() if one.accuracy is None]
    axes.scatter(
        [one.individual.stage for one in failed], [one.row for one in failed], marker="x", c=PALE, s=55, gid="failed"
    )
    width, height = figure.get_size_inches()
    bar = figure.add_axes(
        ((width - RIGHT + 0.25) / width, BOTTOM / height, 0.14 / width, (height - TOP - BOTTOM) / height), label="bar"
    )
    figure.colorbar(dots, cax=bar).set_label("acc_valid (%)", fontsize=LABEL_SIZE)
    bar.tick_params(labelsize=LABEL_SIZE)


def _draw_names(axes: Axes, people: dict[str, Relative], kin: frozenset[str], *, everybody: bool) -> None:
    for name, one in people.items():
        if everybody or name in kin:
            axes.annotate(
                name,
                (one.individual.stage, one.row),
                xytext=(0, -7),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
                fontweight="bold" if name in kin else "normal",
                color=HIGHLIGHT if name in kin else INK,
                parse_math=False,
                zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
            )


def _draw_found(axes: Axes, result: SearchResult, people: dict[str, Relative]) -> None:
    best = result.best
    row, column = people[best.id].row, len(result.stages)
    axes.plot([column - 1, column], [row, row], color=HIGHLIGHT, linewidth=2.0, zorder=2)
    axes.scatter([column], [row], marker="*", s=260, color=HIGHLIGHT, edgecolors=INK, linewidths=0.8, zorder=4)
    axes.annotate(
        f"genotype\n{best.trained.genotype.identity}",
        (column, row),
        xytext=(0, -11),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=LABEL_SIZE,
        color=INK,
    )


def _draw_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        *(
            Line2D([], [], color=INK, marker=marker, linestyle="", label=ORIGINS[origin])
            for origin, marker in MARKERS.items()
        ),
        Line2D([], [], color=PALE, marker="x", linestyle="", label="failed"),
        Line2D([], [], color=INK, linestyle="-", label="gave α, or normal cell"),
        Line2D([], [], color=INK, linestyle="--", label="gave reduction cell"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=7, columnspacing=1.2)
