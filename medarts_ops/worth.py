"""What operations and edges are worth, by the loss without them; of one individual, or in the mean of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from medarts_ops.errors import GenotypeError
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


def mean_worth(worths: Sequence[Worth]) -> Worth:
    """The worth of a population of one or more, whose noise the mean takes away.

    An operation's is the mean over those who measured it, and it is measured if anyone did.

    Source: PertNAS's averaged valuations.

    Raises:
        GenotypeError: no worths.
    """
    if not worths:
        raise GenotypeError("there is no worth to read: allowed is one individual's or more")
    normal, reduce = (_mean(cells) for cells in ([w.normal for w in worths], [w.reduce for w in worths]))
    return Worth(normal=normal, reduce=reduce)


def _mean(cells: Sequence[CellWorth]) -> CellWorth:
    measured = np.stack([cell.measured for cell in cells])
    found = np.stack([cell.operations for cell in cells]).astype(np.float64)
    times = measured.sum(axis=0)
    return CellWorth(
        operations=np.where(measured, found, 0.0).sum(axis=0) / np.maximum(times, 1),
        edges=np.stack([cell.edges for cell in cells]).mean(axis=0, dtype=np.float64),
        measured=times > 0,
    )


def weights_by_worth(worth: Worth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two mixtures `[edge, op]`, normal first, that are discretized to what worth says.

    An edge has its worthiest measured operation, a node its two worthiest edges; ties go to the lower operation and the
    lower edge. The order of the weights alone means something: whatever reads mixtures, a strategy or a repair, so
    reads worth, too.

    Source: Wang et al. 2021 (perturbation instead of α), without their fine-tuning between decisions.
    """
    normal, reduce = (_weights(cell) for cell in (worth.normal, worth.reduce))
    return normal, reduce


def _weights(cell: CellWorth) -> NDArray[np.float64]:
    operations = np.where(cell.measured, cell.operations, -np.inf)
    # Ranks: the strongest of a row has its edge's plus an equal fraction, so that rows compare by their edges' worth.
    ranks = 1.0 + np.unique(cell.edges, return_inverse=True)[1].reshape(-1, 1)
    n_better = (operations[:, None, :] > operations[:, :, None]).sum(axis=2)
    n_ops = operations.shape[1]
    weights: NDArray[np.float64] = np.where(cell.measured, ranks + (n_ops - n_better) / (n_ops + 1), 0.0)
    return weights
