"""α's arrays as rows, and what of a row counts: its entries beside each other, not their common offset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medarts_ops.alpha import CellAlpha


def as_rows(cells: Sequence[CellAlpha], name: str) -> np.ma.MaskedArray:
    """The array of that name of several individuals, [individual, edge, …], float64, without masked operations."""
    return np.ma.stack([_row(cell, name) for cell in cells])


def _row(cell: CellAlpha, name: str) -> np.ma.MaskedArray:
    array = cell.arrays[name].astype(np.float64)
    mask = cell.mask if cell.mask is not None and cell.mask.shape == array.shape else np.ones(array.shape, dtype=bool)
    return np.ma.MaskedArray(array, mask=~mask)


def offsets(rows: np.ma.MaskedArray) -> np.ma.MaskedArray:
    """The mean of each row, [individual, edge, …, 1]: a softmax does not see it."""
    means: np.ma.MaskedArray = rows.mean(axis=-1, keepdims=True)
    return means


def root_mean_square(values: np.ma.MaskedArray) -> float:
    """Over all entries that are there; 0 if none is."""
    return float(np.sqrt(np.ma.filled(np.ma.mean(values**2), 0.0)))
