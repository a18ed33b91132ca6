"""The graph of a cell, as in DARTS's figures: inputs left, the operation on every edge, output right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medarts_ops.pictures.figures import INK, LABEL_SIZE, PALE, TEXT_SIZE, axes_at, colour, new_figure
from medarts_ops.pictures.layers import CellLayout, Item, Link, item_height, lay_out
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUT_LABELS = ("0: $c_{k-2}$", "1: $c_{k-1}$")
OUTPUT_LABEL = "$c_k$"
CELL_NAMES: dict[CellKind, str] = {"normal": "normal cell", "reduce": "reduction cell"}

# Inches; a cell is drawn in its real size, so that a label's room is known before it is written.
BOX = 0.5
PILL = 0.98
PILL_HEIGHT = 0.25
WIRE = 0.24
CIRCLE = 0.32
COLUMN_GAP = 0.72
MARGIN = 0.2
TITLE_ROOM = 0.42
WIDEST = 15.0
LINE, NARROWEST, BROADEST = 1.4, 0.5, 3.5  # points


EdgeWeights = Mapping[CellKind, Sequence[float]]
"""How much each edge of a cell weighs, in the genotype's order."""


def genotype_figure(genotype: Genotype, name: str, weights: EdgeWeights | None = None) -> Figure:
    """Both cells of a genotype, abreast or, where that gets too wide, one above the other; `name` says whose it is.

    Lines have the colour of the state that they come from; a box on a line is the operation that it goes through, with
    the genotype's name of it. Pale lines go straight to the output, which concatenates them. Nodes count from 0.
    Where a strategy weighs edges, `weights` tells how much, and the lines to and from an operation are as wide as that
    says; the heaviest edge of both cells has the widest.
    """
    widths = {cell: _line_widths(genotype, cell, weights) for cell in CELL_NAMES}
    layouts = [lay_out(genotype, cell) for cell in CELL_NAMES]
    (left, one), (right, two) = map(_size, layouts)
    if left + right <= WIDEST:
        width, height = left + right, max(one, two) + TITLE_ROOM
        places = [(0.0, 0.0, left, height - TITLE_ROOM), (left, 0.0, right, height - TITLE_ROOM)]
    else:
        width, height = max(left, right), one + two + 2 * TITLE_ROOM
        places = [(0.0, two + TITLE_ROOM, width, one), (0.0, 0.0, width, two)]
    said = "" if weights is None else " (lines as wide as their edges' weights)"
    figure = new_figure(width, height + TITLE_ROOM, f"genotype of {name}{said}")
    for place, cell, layout in zip(places, CELL_NAMES, layouts, strict=True):
        _draw(axes_at(figure, *place, cell), place[2:], genotype, cell, layout, widths[cell])
    return figure


def _line_widths(genotype: Genotype, cell: CellKind, weights: EdgeWeights | None) -> list[float]:
    """Points, for each edge."""
    if weights is None:
        return [LINE] * len(genotype.edges(cell))
    heaviest = max(max(each) for each in weights.values()) or 1.0
    return [NARROWEST + (BROADEST - NARROWEST) * weight / heaviest for weight in weights[cell]]


def _size(layout: CellLayout) -> tuple[float, float]:
    bottom, top = _bounds(layout)
    return _left(layout, len(layout.columns) - 1) + BOX + 2 * MARGIN, top - bottom + 2 * MARGIN


def _bounds(layout: CellLayout) -> tuple[float, float]:
    n_states = layout.columns[-1][0].state
    halves = {item: item_height(item, n_states) / 2 for item in layout.heights}
    bottom = min(height - halves[item] for item, height in layout.heights.items())
    return bottom, max(height + halves[item] for item, height in layout.heights.items())


def _left(layout: CellLayout, column: int) -> float:
    """Where a column begins, in inches from the inputs' left side."""
    if column == 0:
        return 0.0
    return BOX + COLUMN_GAP + (column - 1) * (PILL + WIRE + CIRCLE + COLUMN_GAP)


def _draw(
    axes: Axes,
    size: tuple[float, float],
    genotype: Genotype,
    cell: CellKind,
    layout: CellLayout,
    widths: Sequence[float],
) -> None:
    wide, high = size
    axes.set_title(CELL_NAMES[cell], fontsize=TEXT_SIZE, color=INK)
    middle = sum(_bounds(layout)) / 2
    spare = wide - _size(layout)[0]
    axes.set_xlim(-MARGIN - spare / 2, wide - MARGIN - spare / 2)
    axes.set_ylim(middle - high / 2, middle + high / 2)
    axes.set_axis_off()
    pills = _pill_heights(layout)
    for link in layout.links:
        _draw_link(axes, layout, link, pills, LINE if link.edge is None else widths[link.edge])
    for item, level in layout.heights.items():
        if not item.lane:
            _draw_state(axes, layout, item, level)
    for edge, (operation, source) in enumerate(genotype.edges(cell)):
        node = next(link.target for link in layout.links if link.edge == edge)
        _draw_operation(axes, layout, node, pills[edge], operation, colour(source), widths[edge])


def _pill_heights(layout: CellLayout) -> dict[int, float]:
    """The level of each edge's operation: the upper one is fed from above."""
    levels: dict[int, float] = {}
    falling = sorted(layout.links, key=lambda link: -layout.heights[link.source])
    for node, level in layout.heights.items():
        edges = [link.edge for link in falling if link.target == node and link.edge is not None]
        for number, edge in enumerate(edges):
            levels[edge] = level + (0.5 * (EDGES_PER_NODE - 1) - number) * 1.45 * PILL_HEIGHT
    return levels


def _draw_link(axes: Axes, layout: CellLayout, link: Link, pills: dict[int, float], line: float) -> None:
    """A curve through the gap between two columns, and straight through the column where it only passes."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    source, target = link.source, link.target
    start, y0 = _left(layout, source.column), layout.heights[source]
    if not source.lane:
        start += BOX if source.column == 0 else PILL + WIRE + CIRCLE
    arrive = _left(layout, target.column)
    leave = arrive - COLUMN_GAP
    y1 = layout.heights[target] if link.edge is None else pills[link.edge]
    bend = 0.5 * COLUMN_GAP
    points = [(start, y0), (leave, y0), (leave + bend, y0), (arrive - bend, y1), (arrive, y1)]
    path = Path(points, [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    width, alpha, order = (line, 1.0, 2) if link in layout.carries else (0.9, 0.4, 1)
    patch = PathPatch(path, fill=False, edgecolor=colour(source.state), linewidth=width, alpha=alpha, zorder=order)
    patch.set_capstyle("round")
    axes.add_patch(patch)


def _draw_operation(
    axes: Axes, layout: CellLayout, node: Item, level: float, operation: str, ink: str, line: float
) -> None:
    from matplotlib.patches import FancyArrowPatch

    left = _left(layout, node.column)
    _draw_box(axes, (left, level), (PILL, PILL_HEIGHT), PILL_HEIGHT / 2, ink, 1.2)
    axes.text(left + PILL / 2, level, operation, ha="center", va="center", fontsize=LABEL_SIZE, color=INK, zorder=5)
    end = (left + PILL + WIRE + 0.03, layout.heights[node] + (0.06 if level > layout.heights[node] else -0.06))
    arrow = FancyArrowPatch(
        (left + PILL, level), end, arrowstyle="-|>", mutation_scale=7, shrinkA=0, shrinkB=0, color=ink, zorder=3
    )
    arrow.set_linewidth(line)
    axes.add_patch(arrow)


def _draw_state(axes: Axes, layout: CellLayout, item: Item, level: float) -> None:
    from matplotlib.patches import Circle

    left, output = _left(layout, item.column), layout.columns[-1][0].state
    if N_INPUTS <= item.state < output:
        centre = left + PILL + WIRE + CIRCLE / 2
        ink = colour(item.state)
        axes.add_patch(Circle((centre, level), CIRCLE / 2, facecolor=ink, edgecolor="none", zorder=4))
        label, at, written = str(item.state), centre, "white"
    else:
        ink = PALE if item.state == output else colour(item.state)
        _draw_box(axes, (left, level), (BOX, 0.3), 0.06, ink, 1.6)
        label = OUTPUT_LABEL if item.state == output else INPUT_LABELS[item.state]
        at, written = left + BOX / 2, INK
    axes.text(at, level, label, ha="center", va="center", fontsize=TEXT_SIZE, color=written, zorder=5)


def _draw_box(
    axes: Axes, place: tuple[float, float], size: tuple[float, float], rounding: float, ink: str, line: float
) -> None:
    """A white box; `place` is the middle of its left side."""
    from matplotlib.patches import FancyBboxPatch

    corner, shape = (place[0], place[1] - size[1] / 2), f"round,pad=0,rounding_size={rounding}"
    axes.add_patch(
        FancyBboxPatch(corner, *size, boxstyle=shape, facecolor="white", edgecolor=ink, linewidth=line, zorder=4)
    )
