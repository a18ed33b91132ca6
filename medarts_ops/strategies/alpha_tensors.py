"""α as tensors, from a value and back: what is trained, and what a strategy makes a mixture of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from medarts_ops.alpha import Alpha, CellAlpha


@dataclass(frozen=True)
class CellTensors:
    """`CellAlpha` with an axis of individuals in front: leaves [individual, edge, …] by name, float32 (64 in tests).

    `mask` is bool [individual, edge, op], the operations that there are; `noise` what the strategy drew for this step,
    [individual, …], None in a reading, or if it draws nothing.
    """

    arrays: Mapping[str, Tensor]
    mask: Tensor
    noise: Tensor | None = None

    @classmethod
    def stack(
        cls, cells: Sequence[CellAlpha], operations: int, device: torch.device, dtype: torch.dtype
    ) -> CellTensors:
        """Fresh leaves of several individuals' α over so many operations."""
        arrays = {
            name: torch.stack([torch.from_numpy(cell.arrays[name].copy()) for cell in cells]).to(device, dtype)
            for name in cells[0].arrays
        }
        masks = [np.ones((cell.n_edges, operations), bool) if cell.mask is None else cell.mask for cell in cells]
        mask = torch.from_numpy(np.stack(masks)).to(device)
        return cls({name: array.requires_grad_() for name, array in arrays.items()}, mask)

    def slice(self, place: int) -> CellTensors:
        """One individual's part, [1, edge, …]: it shares the memory, and has no gradient."""
        part = slice(place, place + 1)
        return CellTensors({name: array.detach()[part] for name, array in self.arrays.items()}, self.mask[part])

    def value(self) -> CellAlpha:
        """The one individual's α; waits for the device."""
        arrays = {name: array.detach()[0].cpu().numpy().copy() for name, array in self.arrays.items()}
        mask = self.mask[0].cpu().numpy()
        return CellAlpha(arrays=arrays, mask=None if mask.all() else mask.copy())

    def overwrite(self, cell: CellAlpha) -> None:
        """Make the one individual's α another one, where it is in memory: a captured step reads it there."""
        allowed = {name: tuple(array.shape[1:]) for name, array in self.arrays.items()}
        got = {name: array.shape for name, array in cell.arrays.items()}
        if got != allowed:
            raise ValueError(f"α became arrays of {got}: allowed are those that it has been, {allowed}")
        with torch.no_grad():
            for name, array in self.arrays.items():
                array.copy_(torch.from_numpy(cell.arrays[name].copy())[None])
        self.overwrite_mask(cell)

    def overwrite_mask(self, cell: CellAlpha) -> None:
        """Make the one individual's mask that of another α."""
        if cell.mask is not None and cell.mask.shape != self.mask.shape[1:]:
            raise ValueError(f"α's mask [edge, op] is {cell.mask.shape}: allowed is {tuple(self.mask.shape[1:])}")
        self.mask.copy_(torch.tensor(True) if cell.mask is None else torch.from_numpy(cell.mask.copy())[None])


@dataclass(frozen=True)
class AlphaTensors:
    """α of a stack of individuals."""

    normal: CellTensors
    reduce: CellTensors

    @classmethod
    def stack(
        cls, alphas: Sequence[Alpha], operations: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> AlphaTensors:
        """Fresh leaves of several individuals' α over so many operations; all have the same arrays."""
        kinds = zip(*(alpha.cells for alpha in alphas), strict=True)
        return cls(*(CellTensors.stack(cells, operations, device, dtype) for cells in kinds))

    @property
    def cells(self) -> tuple[CellTensors, CellTensors]:
        """Both, normal first."""
        return self.normal, self.reduce

    def leaves(self) -> tuple[Tensor, ...]:
        """All arrays, in the order of gradients and optimizer parameters: the normal cell's, then the reduction's."""
        return tuple(array for cell in self.cells for array in cell.arrays.values())

    def with_noise(self, normal: Tensor, reduce: Tensor) -> AlphaTensors:
        """The same leaves beside a step's draws."""
        return AlphaTensors(replace(self.normal, noise=normal), replace(self.reduce, noise=reduce))

    def slice(self, place: int) -> AlphaTensors:
        return AlphaTensors(self.normal.slice(place), self.reduce.slice(place))

    def value(self) -> Alpha:
        return Alpha(normal=self.normal.value(), reduce=self.reduce.value())

    def overwrite(self, alpha: Alpha) -> None:
        for cell, value in zip(self.cells, alpha.cells, strict=True):
            cell.overwrite(value)

    def overwrite_masks(self, alpha: Alpha) -> None:
        for cell, value in zip(self.cells, alpha.cells, strict=True):
            cell.overwrite_mask(value)


def each_alone(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`function` of every individual's part, [1, …] of each tensor, put together again.

    For functions that a processor computes many numbers at a time: those left over at the end of a tensor are rounded
    otherwise, and bits would depend on the size of the stack. A softmax goes row by row, and needs none of this.
    """
    return torch.cat([function(*parts) for parts in zip(*(tensor.split(1) for tensor in tensors), strict=True)])


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis of the entries that `mask` has; exactly 0 for the others, without a gradient."""
    # The smallest number, not -inf: a row without any entry has a softmax, too, and so finite gradients.
    return torch.softmax(logits.masked_fill(~mask, torch.finfo(logits.dtype).min), dim=-1)
