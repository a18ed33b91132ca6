"""Mutation: noise on a part of a survivor's edges, as large as the survivors differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.evolution.offspring import Offspring
from medarts_ops.evolution.rows import as_rows, offsets, root_mean_square
from medarts_ops.individual import RankedIndividual

STEP = 0.5
"""The noise's standard deviation, in spreads of the survivors (ours)."""

TOUCHED = 0.25
"""The share of a cell's edges that are changed (ours)."""


def mutation(survivors: Sequence[RankedIndividual], n_children: int, rng: np.random.Generator) -> tuple[Offspring, ...]:
    """Mutants of one parent each, taken best first in turn; none without survivors.

    In each kind of cell a quarter of the edges, one at least, is drawn, and what each array says of them gets noise of
    half the survivors' spread: the root mean square of how far their centred rows are from the mean of all. Survivors
    that agree are mutated as if their spread were the parent's `alpha_init_std`. Other rows stay as they are, bit for
    bit, and so do the mask and what α says of masked operations.

    Ours; steps that scale with the spread are differential evolution's (Storn and Price 1997). Redrawn rows of 0…1, as
    EvNAS has them, would drown what α learns in a stage.
    """
    parents = [survivors[place % len(survivors)] for place in range(n_children)] if survivors else []
    by_kind = list(zip(*(each.trained.alpha.cells for each in survivors), strict=True))
    spreads = [{name: _spread(cells, name) for name in cells[0].arrays} for cells in by_kind]
    children = []
    for parent in parents:
        least = parent.trained.individual.hyperparameters.alpha_init_std
        normal, reduce = (
            _mutated(cell, {name: STEP * max(spread, least) for name, spread in of_kind.items()}, rng)
            for cell, of_kind in zip(parent.trained.alpha.cells, spreads, strict=True)
        )
        children.append(Offspring("mutation", (parent,), Alpha(normal=normal, reduce=reduce)))
    return tuple(children)


def _spread(cells: Sequence[CellAlpha], name: str) -> float:
    rows = as_rows(cells, name)
    centred = rows - offsets(rows)
    return root_mean_square(centred - centred.mean(axis=0))


def _mutated(cell: CellAlpha, deviations: dict[str, float], rng: np.random.Generator) -> CellAlpha:
    """The cell with noise of these standard deviations on a drawn part of its edges."""
    edges = rng.choice(cell.n_edges, size=max(1, round(TOUCHED * cell.n_edges)), replace=False)
    arrays = {}
    for name, array in cell.arrays.items():
        changed = array.astype(np.float64)
        changed[edges] += deviations[name] * rng.standard_normal(changed[edges].shape)
        is_there = cell.mask if cell.mask is not None and cell.mask.shape == array.shape else np.True_
        arrays[name] = np.where(is_there, changed, array)
    return CellAlpha(arrays=arrays, mask=cell.mask)
