"""What operations and edges are worth, by the loss without them; and the genotype that this says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from medarts_ops.errors import GenotypeError
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.value import BoolArray, FloatArray, Value


class CellWorth(Value):
    """How much the loss rises when a part of one kind of cell is taken away from a trained supernet.

    `operations [edge, op]` where one operation is, the others' weights as they were; `edges [edge]` where a whole row
    is. Numbers may be negative. `measured [edge, op]` says which operations were tried: never `none`, nor a masked one,
    whose worth here is 0.
    """

    operations: FloatArray
    edges: FloatArray
    measured: BoolArray

    @model_validator(mode="after")
    def _axes_agree(self) -> Self:
        if self.operations.ndim != 2 or self.measured.shape != self.operations.shape:
            shapes = f"{list(self.operations.shape)} and measured {list(self.measured.shape)}"
            raise ValueError(f"operations are {shapes}: allowed is [edge, op] of both")
        if self.edges.shape != self.operations.shape[:1]:
            raise ValueError(f"edges are {list(self.edges.shape)}: allowed is [{len(self.operations)}]")
        return self


class Worth(Value):
    """The worth of both kinds of cell, of one individual."""

    normal: CellWorth
    reduce: CellWorth


def read_by_worth(space: SearchSpace, worths: Sequence[Worth]) -> Genotype:
    """The genotype of the mean worth of one individual or several, whose noise the mean takes away.

    An edge has its operation of the highest mean over those who measured it; a node keeps the two edges of the highest
    mean. Ties go to the lower operation and the lower edge.

    Wang et al. 2021 (perturbation instead of α), without their fine-tuning between decisions; the mean over a
    population is PertNAS's.

    Raises:
        GenotypeError: no worths, of another space, or fewer than two edges of a node have a measured operation.
    """
    return discretize(space, *weights_by_worth(worths))


def weights_by_worth(worths: Sequence[Worth]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two mixtures `[edge, op]`, normal first, that are discretized to what the mean worth says.

    Their order alone means something: whatever reads mixtures, a strategy or a repair, so reads worth, too.
    """
    if not worths:
        raise GenotypeError("there is no worth to read: allowed is one individual's or more")
    normal, reduce = (_weights(cells) for cells in ([w.normal for w in worths], [w.reduce for w in worths]))
    return normal, reduce


def _weights(cells: Sequence[CellWorth]) -> NDArray[np.float64]:
    measured = np.stack([cell.measured for cell in cells])
    found = np.stack([cell.operations for cell in cells]).astype(np.float64)
    times = measured.sum(axis=0)
    means = np.where(times > 0, np.where(measured, found, 0.0).sum(axis=0) / np.maximum(times, 1), -np.inf)
    # Ranks: the strongest of a row has its edge's plus an equal fraction, so that rows compare by their edges' worth.
    edges = np.stack([cell.edges for cell in cells]).astype(np.float64).mean(axis=0)
    ranks = 1.0 + np.unique(edges, return_inverse=True)[1].reshape(-1, 1)
    n_better = (means[:, None, :] > means[:, :, None]).sum(axis=2)
    n_ops = means.shape[1]
    weights: NDArray[np.float64] = np.where(times > 0, ranks + (n_ops - n_better) / (n_ops + 1), 0.0)
    return weights
