"""α: what a search trains beside the weights, as a value that any strategy can fill; and what it says when read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from medarts_ops.value import BoolArray, FloatArray, Value

MASK = "mask"
RESERVED = (MASK, "edges", "operations")  # names that an array can't have: they stand beside the arrays in files
_ARRAY_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class CellAlpha(Value):
    """Architecture parameters of one kind of cell; in JSON arrays stand side by side, with `mask` if there is one.

    `arrays` are [edge, …] each: DARTS has `op_logits [edge, op]`, a strategy that weighs edges `edge_logits [edge]`,
    too. Whatever is in here is inherited, crossed, stored and trained together, bit for bit. `mask` is bool [edge, op],
    which operations an edge still has; None where it has them all.
    """

    arrays: Mapping[str, FloatArray]
    mask: BoolArray | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "arrays" in data:
            return data
        # The first releases wrote `edge_logits: null` where a strategy had none.
        arrays = {name: array for name, array in data.items() if name != MASK and array is not None}
        return {"arrays": arrays, MASK: data.get(MASK)}

    @model_serializer(mode="wrap")
    def _flat(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = write(self)
        # A checkpoint is known by a hash of this text, in which an absent `edge_logits` has always been null.
        absent = {} if "edge_logits" in plain["arrays"] else {"edge_logits": None}
        arrays: dict[str, Any] = plain["arrays"]
        return arrays | absent | ({} if self.mask is None else {MASK: plain[MASK]})

    @model_validator(mode="after")
    def _axes_agree(self) -> Self:
        if not self.arrays:
            raise ValueError("α has no array: allowed is one or more, each [edge, …]")
        for name, array in self.arrays.items():
            if not _ARRAY_NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"α names an array {name[:60]!r}: allowed are small letters, digits and '_', not {RESERVED}"
                )
            if not array.ndim or array.shape[0] != self.n_edges:
                raise ValueError(f"{name} is {list(array.shape)}: allowed is [edge, …] with {self.n_edges} edges")
        if self.mask is not None and (self.mask.ndim != 2 or len(self.mask) != self.n_edges):
            raise ValueError(f"mask is {list(self.mask.shape)}: allowed is [edge, op] with {self.n_edges} edges")
        return self

    @property
    def n_edges(self) -> int:
        """The edges of a cell, 0 where the first array has no axis."""
        first = next(iter(self.arrays.values()))
        return len(first) if first.ndim else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellAlpha) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        arrays = [(name, array.shape, array.tobytes()) for name, array in sorted(self.arrays.items())]
        return (*arrays, None if self.mask is None else self.mask.tobytes())


class Alpha(Value):
    """α of a whole individual: normal and reduction cell."""

    normal: CellAlpha
    reduce: CellAlpha

    @property
    def cells(self) -> tuple[CellAlpha, CellAlpha]:
        """Both, normal first."""
        return self.normal, self.reduce


class OperationMasks(Value):
    """Which operations there are, bool [edge, op], in each kind of cell."""

    normal: BoolArray
    reduce: BoolArray


def operations_left(alphas: Iterable[Alpha]) -> OperationMasks | None:
    """What one supernet for all of these must have: the operations that any of them still has; None if that is all."""
    by_kind = zip(*(alpha.cells for alpha in alphas), strict=True)
    normal, reduce = map(_union, by_kind)
    if normal is None and reduce is None:
        return None
    full = np.ones_like(reduce if normal is None else normal)
    return OperationMasks(normal=full if normal is None else normal, reduce=full if reduce is None else reduce)


def _union(cells: Sequence[CellAlpha]) -> np.ndarray | None:
    masks = [cell.mask for cell in cells if cell.mask is not None]
    return np.logical_or.reduce(masks) if len(masks) == len(cells) else None


class Mixtures(NamedTuple):
    """What α says when read: the weight ≥ 0 of each operation, [edge, op]; a row's sum is its edge's (1 in DARTS)."""

    normal: np.ndarray
    reduce: np.ndarray
