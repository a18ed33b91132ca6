"""The consensus of a stage's survivors: what their α say in the mean, as sharply as they say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medarts_ops.alpha import Alpha, CellAlpha, operations_left
from medarts_ops.evolution.offspring import Offspring
from medarts_ops.evolution.rows import as_rows, offsets, root_mean_square
from medarts_ops.individual import RankedIndividual


def consensus(survivors: Sequence[RankedIndividual]) -> Offspring:
    """The one child of all survivors, at least one, best first."""
    return Offspring("consensus", tuple(survivors), consensus_alpha([each.trained.alpha for each in survivors]))


def consensus_alpha(alphas: Sequence[Alpha]) -> Alpha:
    """The mean of α, whose noise is smaller by the root of their number, brought back to their sharpness.

    Rows are centred, averaged, and scaled, each array of a kind of cell by one factor, so that their root mean square
    is the mean of the individuals'; the mean of the offsets is added again, which a softmax does not see but another
    mixture might. An operation that not all have is averaged over those that have it, and is there if any has it. One α
    comes back as it is, up to rounding.

    Ours; what it averages over a population is PertNAS's idea.
    """
    masks = operations_left(alphas)
    normal, reduce = (
        _mean_of(cells, mask)
        for cells, mask in zip(
            zip(*(alpha.cells for alpha in alphas), strict=True),
            (None, None) if masks is None else (masks.normal, masks.reduce),
            strict=True,
        )
    )
    return Alpha(normal=normal, reduce=reduce)


def _mean_of(cells: Sequence[CellAlpha], mask: np.ndarray | None) -> CellAlpha:
    arrays = {name: _mean_array(cells, name) for name in cells[0].arrays}
    return CellAlpha(arrays=arrays, mask=None if mask is None or mask.all() else mask)


def _mean_array(cells: Sequence[CellAlpha], name: str) -> np.ndarray:
    """The consensus of one array, [edge, …]; 0 where nobody has the operation."""
    rows = as_rows(cells, name)
    offset = offsets(rows)
    centred = rows - offset
    mean = centred.mean(axis=0)
    sharpness = float(np.mean([root_mean_square(each) for each in centred]))
    own = root_mean_square(mean)
    scaled = mean * (sharpness / own if own else 1.0) + offset.mean(axis=0)
    return np.ma.filled(scaled, 0.0)
