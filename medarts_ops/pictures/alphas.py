"""What an individual's α says: the weight of each operation on each edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.errors import GenotypeError
from medarts_ops.individual import Alpha, CellAlpha
from medarts_ops.pictures.cells import CELL_NAMES, INPUT_LABELS
from medarts_ops.pictures.figures import ACCURACY_COLOURS, INK, LABEL_SIZE, TEXT_SIZE, new_figure
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

ROW, COLUMN = 0.27, 0.5
NUMBERED_EDGES = 44
"""Of eight nodes; a picture of sixteen would take seconds for numbers that nobody reads."""

NEARLY_EQUAL = 0.1
"""Weights that lie closer together are written with a digit more."""

LEFT, RIGHT, BOTTOM, TOP = 1.2, 1.15, 1.15, 0.75


def alpha_figure(alpha: Alpha, genotype: Genotype, space: SearchSpace, name: str) -> Figure:
    """α of both cells as softmax over the operations of each edge, DARTS's mixture (Eq. 2); `name` says whose it is.

    The lightest colour is the largest weight of both cells, the darkest the smallest: in a short search all are near
    one another. Frames mark the genotype that α was discretized to (Eq. 5). Where a strategy weighs edges too, an
    edge's name has that weight behind it: β, softmax over the edges of its node. Cells of more than `NUMBERED_EDGES`
    edges have colours only.

    Raises:
        GenotypeError: α does not have the shape of the space.
    """
    mixtures = mixtures_of(alpha, space)
    weighed = alpha.normal.edge_logits is not None or alpha.reduce.edge_logits is not None
    left = LEFT + (0.45 if weighed else 0.0)
    wide, high = COLUMN * space.n_primitives, ROW * space.n_edges
    width, height = 2 * (left + wide) + RIGHT, BOTTOM + high + TOP
    figure = new_figure(width, height, f"architecture parameters α of {name}")
    lowest = min(float(mixture.min()) for mixture in mixtures.values())
    strongest = max(float(mixture.max()) for mixture in mixtures.values())
    parameters = {"normal": alpha.normal, "reduce": alpha.reduce}
    for number, (cell, title) in enumerate(CELL_NAMES.items()):
        x = left + number * (left + wide)
        axes = figure.add_axes((x / width, BOTTOM / height, wide / width, high / height), label=cell)
        axes.set_title(f"{title} (framed: the genotype)", fontsize=TEXT_SIZE, color=INK)
        image = _heat_map(axes, mixtures[cell], parameters[cell], space, (lowest, strongest))
        _frame_chosen(axes, genotype, cell, space)
    bar = figure.add_axes(((width - RIGHT + 0.15) / width, BOTTOM / height, 0.14 / width, high / height), label="bar")
    figure.colorbar(image, cax=bar).set_label("softmax of α (each row sums to 1)", fontsize=LABEL_SIZE)
    bar.yaxis.set_major_formatter("{x:.3f}")
    bar.tick_params(labelsize=LABEL_SIZE)
    return figure


def mixtures_of(alpha: Alpha, space: SearchSpace) -> dict[CellKind, np.ndarray]:
    """The mixture `[edge, op]` of each kind of cell: softmax over an edge's operations (Eq. 2), in float64.

    Raises:
        GenotypeError: α does not have the shape of the space.
    """
    return {"normal": _mixture(alpha.normal, space, "normal"), "reduce": _mixture(alpha.reduce, space, "reduce")}


def _mixture(alpha: CellAlpha, space: SearchSpace, cell: str) -> np.ndarray:
    expected = (space.n_edges, space.n_primitives)
    if alpha.op_logits.shape != expected:
        raise GenotypeError(
            f"α of the {cell} cell [edge, op] has shape {alpha.op_logits.shape}: allowed is {expected} in this space; "
            "give the space that α was trained in"
        )
    return _softmax(alpha.op_logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    weights: np.ndarray = shifted / shifted.sum(axis=-1, keepdims=True)
    return weights


def _heat_map(
    axes: Axes, mixture: np.ndarray, parameters: CellAlpha, space: SearchSpace, scale: tuple[float, float]
) -> AxesImage:
    lowest, strongest = scale
    digits = 2 if strongest - lowest > NEARLY_EQUAL else 3
    image = axes.imshow(mixture, cmap=ACCURACY_COLOURS, vmin=lowest, vmax=strongest, aspect="auto")
    axes.set_xticks(range(space.n_primitives), space.primitives, rotation=50, ha="right", fontsize=LABEL_SIZE)
    axes.tick_params(axis="x", pad=1)
    axes.set_yticks(range(space.n_edges), _edge_names(space, parameters), fontsize=LABEL_SIZE)
    axes.set_xlabel("operation", fontsize=TEXT_SIZE)
    axes.set_ylabel("edge", fontsize=TEXT_SIZE)
    for (edge, operation), weight in np.ndenumerate(mixture) if space.n_edges <= NUMBERED_EDGES else ():
        ink = "white" if weight < lowest + 0.55 * (strongest - lowest) else "black"
        axes.text(
            operation, edge, f"{weight:.{digits}f}".removeprefix("0"), ha="center", va="center", fontsize=6.5, color=ink
        )
    last_edges = [edge for edge, (source, node) in enumerate(space.edges) if source == node - 1]
    for edge in last_edges[:-1]:
        axes.axhline(edge + 0.5, color="white", linewidth=2)
    return image


def _edge_names(space: SearchSpace, parameters: CellAlpha) -> list[str]:
    names = [
        f"{INPUT_LABELS[source] if source < N_INPUTS else source - N_INPUTS} → {node - N_INPUTS}"
        for source, node in space.edges
    ]
    if parameters.edge_logits is None:
        return names
    weights = np.zeros(space.n_edges)
    for node in range(N_INPUTS, N_INPUTS + space.n_nodes):
        into = [edge for edge, (_, target) in enumerate(space.edges) if target == node]
        weights[into] = _softmax(parameters.edge_logits[into])
    return [f"{name}  β {weight:.2f}" for name, weight in zip(names, weights, strict=True)]


def _frame_chosen(axes: Axes, genotype: Genotype, cell: CellKind, space: SearchSpace) -> None:
    from matplotlib.patches import Rectangle

    for place, (operation, source) in enumerate(genotype.edges(cell)):
        edge = space.edges.index((source, N_INPUTS + place // EDGES_PER_NODE))
        column = space.primitives.index(operation)
        axes.add_patch(
            Rectangle((column - 0.46, edge - 0.44), 0.92, 0.88, fill=False, edgecolor="#D55E00", linewidth=2.2)
        )
