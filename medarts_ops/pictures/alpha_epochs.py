"""How an individual's α moved while it was trained: each edge's mixture, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medarts_ops.alpha import Mixtures
from medarts_ops.errors import RunError
from medarts_ops.pictures.alphas import checked_mixtures, scale_of, state_label
from medarts_ops.pictures.cells import CELL_NAMES
from medarts_ops.pictures.figures import INK, LABEL_SIZE, PALE, TEXT_SIZE, axes_at, colour, new_figure
from medarts_ops.quantities import counted
from medarts_ops.space.search_space import N_INPUTS, OPERATIONS, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, HIGH, GAP = 0.92, 0.62, 0.16
LEFT, RIGHT, BOTTOM, TOP = 0.6, 0.2, 1.15, 0.75


def alpha_epochs_figure(readings: Sequence[Mixtures], space: SearchSpace, name: str) -> Figure:
    """The mixture of each edge, as its strategy reads α before training and after each epoch.

    A small panel is an edge: its row is the node that it leads into, its column the state that it comes from. From left
    to right runs the training, from birth to the last epoch. A line is an operation's weight. All panels have one
    scale, from the smallest to the largest weight of both cells: in a short search all weights stay near one another.
    The strongest operation at the end, of those that a genotype may hold, is drawn thicker. The line of an operation
    that was masked ends there.

    Raises:
        RunError: no epoch.
        GenotypeError: α does not have the shape of the space.
    """
    if len(readings) < 2:
        raise RunError(f"{name} has no α of any epoch: nothing to draw; allowed is one or more")
    mixtures = [checked_mixtures(reading, space) for reading in readings]
    columns = space.n_nodes + N_INPUTS - 1
    wide, tall = columns * (WIDE + GAP), space.n_nodes * (HIGH + GAP)
    width, height = 2 * (LEFT + wide) + RIGHT, BOTTOM + tall + TOP
    figure = new_figure(width, height, f"how α of {name} moved in {counted(len(readings) - 1, 'epoch')}")
    cells = {cell: np.stack([mixture[cell] for mixture in mixtures]) for cell in CELL_NAMES}
    scale = scale_of(cells.values())
    for number, (cell, title) in enumerate(CELL_NAMES.items()):
        axes = axes_at(figure, LEFT + number * (LEFT + wide), BOTTOM, wide, tall, cell)
        axes.set_title(title, fontsize=TEXT_SIZE, color=INK)
        _panels(axes, cells[cell], space, scale)
    _legend(figure, space, scale)
    return figure


def _panels(axes: Axes, weights: NDArray[np.float64], space: SearchSpace, scale: tuple[float, float]) -> None:
    """All edges of a cell in one plane, `weights [epoch, edge, op]`: a line for each operation of each of them."""
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import Rectangle

    low, high = scale
    time = np.linspace(0.0, WIDE, len(weights))
    heights = HIGH * np.where(weights > 0, (weights - low) / ((high - low) or 1.0), np.nan)
    corners = [_corner(space, edge) for edge in range(space.n_edges)]
    frames = [Rectangle(corner, WIDE, HIGH) for corner in corners]
    axes.add_collection(PatchCollection(frames, facecolor="#F4F4F4", edgecolor="#DDDDDD", linewidth=0.6))
    # But `none`, which no genotype holds (Eq. 5).
    held = np.array([name != "none" for name in space.primitives])
    strongest = np.where(held, weights[-1], -np.inf).argmax(axis=1)
    for operation, name in enumerate(space.primitives):
        lines = [
            np.column_stack([left + time, bottom + heights[:, edge, operation]])
            for edge, (left, bottom) in enumerate(corners)
        ]
        widths = [2.4 if strongest[edge] == operation else 0.9 for edge in range(space.n_edges)]
        axes.add_collection(LineCollection(lines, colors=colour(OPERATIONS.index(name)), linewidths=widths, gid=name))
    _frame(axes, space)


def _corner(space: SearchSpace, edge: int) -> tuple[float, float]:
    """The lower left corner of an edge's panel, in inches; the first node is on top."""
    source, node = space.edges[edge]
    return source * (WIDE + GAP), (space.n_nodes - 1 - (node - N_INPUTS)) * (HIGH + GAP)


def _frame(axes: Axes, space: SearchSpace) -> None:
    columns = space.n_nodes + N_INPUTS - 1
    axes.set_xlim(-0.02, columns * (WIDE + GAP))
    axes.set_ylim(-0.02, space.n_nodes * (HIGH + GAP))
    names = [state_label(source) for source in range(columns)]
    axes.set_xticks([source * (WIDE + GAP) + WIDE / 2 for source in range(columns)], names, fontsize=LABEL_SIZE)
    rows = [node * (HIGH + GAP) + HIGH / 2 for node in range(space.n_nodes)]
    axes.set_yticks(rows, [str(N_INPUTS + node) for node in reversed(range(space.n_nodes))], fontsize=LABEL_SIZE)
    axes.tick_params(length=0)
    axes.set_xlabel("from state", fontsize=TEXT_SIZE)
    axes.set_ylabel("into node", fontsize=TEXT_SIZE)
    axes.spines[:].set_visible(False)


def _legend(figure: Figure, space: SearchSpace, scale: tuple[float, float]) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    colours = {name: colour(OPERATIONS.index(name)) for name in space.primitives}
    handles = [Line2D([], [], color=ink, linewidth=2, label=name) for name, ink in colours.items()]
    columns = max(1, min(len(handles), int(width / 1.35)))
    figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=LABEL_SIZE)
    text = (
        f"each panel: from birth (left) to the last epoch (right), weights {scale[0]:.3f} to {scale[1]:.3f}; "
        "thick: the strongest at the end"
    )
    figure.text(0.5, 0.56 / height, text, ha="center", fontsize=LABEL_SIZE, color=PALE)
