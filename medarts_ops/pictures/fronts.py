"""A stage's individuals in the plane of their objectives: fronts, survivors, where they come from."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medarts_ops.errors import SearchError
from medarts_ops.individual import RankedIndividual, StageResult
from medarts_ops.objectives.shown import axis
from medarts_ops.pictures.figures import (
    CHANCE,
    INK,
    LABEL_SIZE,
    MARKERS,
    ORIGINS,
    PALE,
    colour,
    label_points,
    new_figure,
    origin_handles,
    plain_axes,
)
from medarts_ops.pictures.pages import page_of, plain_text
from medarts_ops.space.formats import format_darts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 8.0, 5.5
ACCURACY = "accuracy"  # the objective that chance is one of
FAR = 3  # of the accuracies' range: chance that is farther below would press the dots together
PLOTLY_SYMBOLS = {
    "random": "circle",
    "inherited": "square",
    "crossover": "triangle-up",
    "nodewise": "triangle-down",
    "mutation": "diamond",
    "consensus": "pentagon",
}
COLOURED_FRONTS = 5  # later ones are grey: what is dominated five times over needs no colour
LABELLED = 40  # individuals with their id beside them; the page has all in its hover texts


class _Dot(NamedTuple):
    """An individual that has a place: both values on the axes are finite."""

    one: RankedIndividual
    x: float
    y: float


class _Chance(NamedTuple):
    """Where chance is on the axis of acc_valid, and whether a line there leaves room for the dots."""

    place: float
    is_near: bool

    @property
    def words(self) -> str:
        return f"chance {self.place:.3g} %" + ("" if self.is_near else " (below)")


def front_figure(stage: StageResult, search: str, survivors: Collection[str] = ()) -> Figure:
    """The individuals of a stage: colour is the front, the shape says where one comes from, a ring that it survives.

    The first objective stands on the upright axis, the second on the level one; a single objective stands over the
    individuals' numbers. With more than two the title says that only two are shown, and no front is connected, as its
    points do not lie in this plane. `search` says whose stage it is, `survivors` are ids of individuals.

    Raises:
        SearchError: the stage has no ranked individual.
    """
    dots, (x_axis, y_axis) = _dots(stage), _axes_of(stage)
    figure = new_figure(WIDTH, HEIGHT, f"Pareto fronts of stage {stage.name} of {search}")
    axes = figure.add_axes((0.09, 0.11, 0.66, 0.77))
    plain_axes(axes, _axis_label(x_axis), _axis_label(y_axis), _subtitle(stage))
    for front, members in _fronts(dots).items():
        ink = _front_colour(front)
        if _connected(stage):
            line = sorted((dot.x, dot.y) for dot in members)
            axes.plot(*np.transpose(line), color=ink, linewidth=1.2, alpha=0.6, gid="front")
        for origin, marker in MARKERS.items():
            points = [(dot.x, dot.y) for dot in members if _origin(dot.one) == origin]
            if points:
                xs, ys = np.transpose(points)
                axes.scatter(xs, ys, s=44, marker=marker, color=ink, zorder=3)
    ringed = [(dot.x, dot.y) for dot in dots if dot.one.id in survivors]
    if ringed:
        xs, ys = np.transpose(ringed)
        axes.scatter(xs, ys, s=150, facecolors="none", edgecolors=INK, linewidths=1.3, gid="ring")
    chance = _chance(stage)
    if chance is not None and chance.is_near:
        (axes.axhline if y_axis == ACCURACY else axes.axvline)(chance.place, gid="chance", **CHANCE)
    axes.margins(0.12)
    _legend(figure, dots, bool(ringed), chance)
    label_points(axes, [(dot.x, dot.y, dot.one.id, INK) for dot in dots[:LABELLED]])
    return figure


def front_html(
    stage: StageResult, search: str, survivors: Collection[str] = (), run_ids: Mapping[str, str] | None = None
) -> str:
    """The same picture as a page of its own: hovering tells id, run, objectives, crowding distance and genotype.

    `run_ids` gives the run of an individual's id, for those that have one. The page holds its script and loads
    nothing.
    """
    import plotly.graph_objects as go

    x_axis, y_axis = _axes_of(stage)
    figure = go.Figure()
    for front, members in _fronts(_dots(stage)).items():
        members.sort(key=lambda dot: (dot.x, dot.y))
        ids = [dot.one.id for dot in members]
        figure.add_scatter(
            x=[dot.x for dot in members],
            y=[dot.y for dot in members],
            mode="lines+markers" if _connected(stage) else "markers",
            name=f"front {front}",
            marker={
                "symbol": [PLOTLY_SYMBOLS[_origin(dot.one)] for dot in members],
                "size": [15 if name in survivors else 10 for name in ids],
                "color": _front_colour(front),
                "line": {"color": INK, "width": [2.5 if name in survivors else 0 for name in ids]},
            },
            line={"color": _front_colour(front), "width": 1},
            text=[_hover(dot.one, dot.one.id in survivors, (run_ids or {}).get(dot.one.id)) for dot in members],
            hoverinfo="text",
        )
    if (chance := _chance(stage)) is not None and chance.is_near:
        draw = figure.add_hline if y_axis == ACCURACY else figure.add_vline
        draw(chance.place, line={"dash": "dot", "color": INK, "width": 1}, annotation_text=chance.words)
    title = f"Pareto fronts of stage {stage.name} of {search}"
    present = {_origin(one) for one in stage.ranked}
    shapes = ", ".join(f"{symbol}: {ORIGINS[origin]}" for origin, symbol in PLOTLY_SYMBOLS.items() if origin in present)
    notes = ". ".join(part for part in (_subtitle(stage), f"{shapes}; dark rim: survives") if part)
    return page_of(figure, title=title, notes=notes, x=_axis_label(x_axis), y=_axis_label(y_axis))


def _axes_of(stage: StageResult) -> tuple[str | None, str]:
    """The objectives on the level and the upright axis; None is the individual's number."""
    if not stage.ranked:
        raise SearchError(f"stage {stage.name!r} has no ranked individual: nothing to draw; allowed is one or more")
    names = tuple(stage.ranked[0].evaluated.objectives)
    return (names[1] if len(names) > 1 else None), names[0]


def _chance(stage: StageResult) -> _Chance | None:
    """Where acc_valid of guesses is on its axis; None where neither axis is that, or an earlier release kept none."""
    if stage.yardstick is None or ACCURACY not in _axes_of(stage):
        return None
    place = _scaled(stage.yardstick.chance, ACCURACY)
    values = [value for one in stage.ranked if math.isfinite(value := _value(one, ACCURACY))]
    lowest, highest = min(values, default=place), max(values, default=place)
    return _Chance(place, lowest - place <= FAR * (highest - lowest) or lowest <= place)


def _axis_label(objective: str | None) -> str:
    return "number of the individual" if objective is None else axis(objective)[0]


def _value(one: RankedIndividual, objective: str | None) -> float:
    number = float(one.trained.individual.number)
    return number if objective is None else _scaled(one.evaluated.objectives[objective], objective)


def _scaled(value: float, objective: str) -> float:
    return value * axis(objective)[1]


def _dots(stage: StageResult) -> list[_Dot]:
    x_axis, y_axis = _axes_of(stage)
    dots = [_Dot(one, _value(one, x_axis), _value(one, y_axis)) for one in stage.ranked]
    return [dot for dot in dots if math.isfinite(dot.x) and math.isfinite(dot.y)]


def _fronts(dots: Sequence[_Dot]) -> dict[int, list[_Dot]]:
    """The dots of each front, the first one first."""
    return {front: [dot for dot in dots if dot.one.front == front] for front in sorted({dot.one.front for dot in dots})}


def _connected(stage: StageResult) -> bool:
    return len(stage.ranked[0].evaluated.objectives) == 2


def _origin(one: RankedIndividual) -> str:
    return one.trained.individual.origin


def _front_colour(front: int) -> str:
    return colour(front) if front < COLOURED_FRONTS else PALE


def _subtitle(stage: StageResult) -> str:
    """What the picture leaves out."""
    names = tuple(stage.ranked[0].evaluated.objectives)
    notes = []
    if len(names) > 2:
        notes.append(f"the first two of {len(names)} objectives ({', '.join(names)})")
    missing = len(stage.ranked) - len(_dots(stage))
    if missing:
        notes.append(f"{missing} without finite objectives not shown")
    for how, ended in (("pruned", stage.pruned), ("failed", stage.failed)):
        ids = [one.individual.id for one in ended]
        if ids:
            notes.append(f"{len(ids)} {how}: {', '.join(ids[:4])}{', …' if len(ids) > 4 else ''}")
    return "; ".join(notes)


def _legend(figure: Figure, dots: Sequence[_Dot], ringed: bool, chance: _Chance | None) -> None:
    from matplotlib.lines import Line2D

    fronts = {front: f"front {front}" if front < COLOURED_FRONTS else "later fronts" for front in _fronts(dots)}
    labels = {label: _front_colour(front) for front, label in fronts.items()}
    handles = [Line2D([], [], color=ink, linewidth=3, label=label) for label, ink in labels.items()]
    handles += origin_handles({_origin(dot.one) for dot in dots})
    if ringed:
        ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "linestyle": ""}
        handles.append(Line2D([], [], color=INK, label="survives", **ring))  # type: ignore[arg-type]
    if chance is not None:
        handles.append(Line2D([], [], label=chance.words, **CHANCE))
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.76, 0.89), frameon=False, fontsize=LABEL_SIZE)


def _hover(one: RankedIndividual, survives: bool, run_id: str | None) -> str:
    individual = one.trained.individual
    lines = [f"{one.id} ({individual.origin}{', survives' if survives else ''})"]
    if run_id is not None:
        lines.append(f"run {run_id}")
    if individual.parents:
        lines.append(f"parents {', '.join(individual.parents)}")
    for name, value in one.evaluated.objectives.items():
        label, factor = axis(name)
        lines.append(f"{label}: {value * factor:.5g}")
    lines.append(f"front {one.front}, crowding distance {one.crowding_distance:.4g}")
    lines += textwrap.wrap(format_darts(one.trained.genotype), width=90)
    return plain_text(lines)
