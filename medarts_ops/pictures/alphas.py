"""What an individual's α says: the weight of each operation on each edge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.alpha import Mixtures
from medarts_ops.errors import GenotypeError
from medarts_ops.pictures.cells import CELL_NAMES, INPUT_LABELS, EdgeWeights
from medarts_ops.pictures.figures import ACCURACY_COLOURS, INK, LABEL_SIZE, TEXT_SIZE, axes_at, new_figure
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

ROW, COLUMN = 0.27, 0.5
NUMBERED_EDGES = 44
"""Of eight nodes; a picture of sixteen would take seconds for numbers that nobody reads."""

LEFT, RIGHT, BOTTOM, TOP = 1.2, 1.15, 1.15, 0.75


def alpha_figure(mixtures: Mixtures, genotype: Genotype, space: SearchSpace, name: str) -> Figure:
    """What α says, as its strategy reads it (DARTS: softmax over the operations of each edge, Eq. 2).

    The lightest colour is the largest weight of both cells, the darkest the smallest: in a short search all are near
    one another. Frames mark the genotype that α was discretized to (Eq. 5). Where a strategy weighs edges too, an
    edge's name has that weight behind it: Σ, the sum of its row. An operation without any weight, such as one that was
    masked, is left blank. Cells of more than `NUMBERED_EDGES` edges have colours only.

    Raises:
        GenotypeError: the mixtures do not have the shape of the space.
    """
    by_cell = checked_mixtures(mixtures, space)
    weighed = weighs_edges(mixtures)
    left = LEFT + (0.45 if weighed else 0.0)
    wide, high = COLUMN * space.n_primitives, ROW * space.n_edges
    width, height = 2 * (left + wide) + RIGHT, BOTTOM + high + TOP
    figure = new_figure(width, height, f"architecture parameters α of {name}")
    scale = scale_of(mixtures)
    said = "framed: the genotype; Σ: the edge's weights together" if weighed else "framed: the genotype"
    for number, (cell, title) in enumerate(CELL_NAMES.items()):
        axes = axes_at(figure, left + number * (left + wide), BOTTOM, wide, high, cell)
        axes.set_title(f"{title} ({said})", fontsize=TEXT_SIZE, color=INK)
        image = _heat_map(axes, by_cell[cell], space, scale, weighed=weighed)
        _frame_chosen(axes, genotype, cell, space)
    bar = axes_at(figure, width - RIGHT + 0.15, BOTTOM, 0.14, high, "bar")
    figure.colorbar(image, cax=bar).set_label("weight of the operation", fontsize=LABEL_SIZE)
    bar.yaxis.set_major_formatter("{x:.3f}")
    bar.tick_params(labelsize=LABEL_SIZE)
    return figure


def weighs_edges(mixtures: Mixtures) -> bool:
    """Whether edges have weights of their own: the row of one that nobody weighed sums to 1, but for rounding."""
    return not all(np.allclose(mixture.sum(axis=1), 1, atol=1e-3) for mixture in mixtures)


def edge_weights(mixtures: Mixtures, genotype: Genotype, space: SearchSpace) -> EdgeWeights | None:
    """What each edge of a genotype weighs in the mixture of its cell; None where edges have no weights of their own."""
    if not weighs_edges(mixtures):
        return None
    by_cell = checked_mixtures(mixtures, space)
    return {
        cell: [float(by_cell[cell][edge].sum()) for edge in chosen_edges(genotype, cell, space)] for cell in CELL_NAMES
    }


def chosen_edges(genotype: Genotype, cell: CellKind, space: SearchSpace) -> list[int]:
    """The space's numbers of the edges that a genotype keeps, in its own order."""
    sources = [source for _, source in genotype.edges(cell)]
    return [space.edges.index((source, N_INPUTS + place // EDGES_PER_NODE)) for place, source in enumerate(sources)]


def scale_of(mixtures: Iterable[np.ndarray]) -> tuple[float, float]:
    """The smallest weight that is above 0, and the largest: operations without weight have no place on a scale."""
    weights = np.concatenate([mixture.ravel() for mixture in mixtures])
    positive = weights[weights > 0]
    return (float(positive.min()), float(positive.max())) if positive.size else (0.0, 0.0)


def checked_mixtures(mixtures: Mixtures, space: SearchSpace) -> dict[CellKind, np.ndarray]:
    """The mixture `[edge, op]` of each kind of cell; one of another shape than the space's is a GenotypeError."""
    expected = (space.n_edges, space.n_primitives)
    for cell, mixture in mixtures._asdict().items():
        if mixture.shape != expected:
            raise GenotypeError(
                f"α of the {cell} cell [edge, op] has shape {mixture.shape}: allowed is {expected} in this space; "
                "give the space that α was trained in"
            )
    return {"normal": mixtures.normal, "reduce": mixtures.reduce}


def _heat_map(
    axes: Axes, mixture: np.ndarray, space: SearchSpace, scale: tuple[float, float], *, weighed: bool
) -> AxesImage:
    lowest, strongest = scale
    digits = 2 if strongest - lowest > 0.1 else 3
    image = axes.imshow(
        np.ma.masked_equal(mixture, 0), cmap=ACCURACY_COLOURS, vmin=lowest, vmax=strongest, aspect="auto"
    )
    axes.set_xticks(range(space.n_primitives), space.primitives, rotation=50, ha="right", fontsize=LABEL_SIZE)
    axes.tick_params(axis="x", pad=1)
    axes.set_yticks(range(space.n_edges), _edge_names(space, mixture if weighed else None), fontsize=LABEL_SIZE)
    axes.set_xlabel("operation", fontsize=TEXT_SIZE)
    axes.set_ylabel("edge", fontsize=TEXT_SIZE)
    for edge, operation in np.argwhere(mixture) if space.n_edges <= NUMBERED_EDGES else ():
        weight = mixture[edge, operation]
        ink = "white" if weight < lowest + 0.55 * (strongest - lowest) else "black"
        text = f"{weight:.{digits}f}".removeprefix("0")
        axes.text(operation, edge, text, ha="center", va="center", fontsize=6.5, color=ink)
    last_edges = [edge for edge, (source, node) in enumerate(space.edges) if source == node - 1]
    for edge in last_edges[:-1]:
        axes.axhline(edge + 0.5, color="white", linewidth=2)
    return image


def state_label(state: int) -> str:
    """What a state of a cell is called: its number, as genotypes have it, and of an input its name."""
    return INPUT_LABELS[state] if state < N_INPUTS else str(state)


def _edge_names(space: SearchSpace, weighed: np.ndarray | None) -> list[str]:
    """The states that each edge joins, and its weight in the mixture where edges are weighed."""
    names = [f"{source} → {node}" for source, node in space.edges]
    if weighed is None:
        return names
    return [f"{name}  Σ {weight:.2f}" for name, weight in zip(names, weighed.sum(axis=1), strict=True)]


def _frame_chosen(axes: Axes, genotype: Genotype, cell: CellKind, space: SearchSpace) -> None:
    from matplotlib.patches import Rectangle

    for edge, (operation, _) in zip(chosen_edges(genotype, cell, space), genotype.edges(cell), strict=True):
        column = space.primitives.index(operation)
        axes.add_patch(
            Rectangle((column - 0.46, edge - 0.44), 0.92, 0.88, fill=False, edgecolor="#D55E00", linewidth=2.2)
        )
