"""Layers of the supernet in its own memory layout: planes [channel, image, height, width].

With channels first, what belongs to one edge or one operation is a contiguous block: concatenating and splitting
cost a plain copy or nothing, a 1×1 convolution is a matrix product, and batch norm runs along rows. Where several
individuals are stacked, the channels of planes are [block, individual, channel]; every weight is [individual, …], so
that an individual's part of it is contiguous.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.networks.batch_norm import BatchNorm
from medarts_ops.networks.device_kind import on_cpu


class _Transpose(torch.autograd.Function):
    """A contiguous transpose of a matrix, whose gradient is one, too: `permute` leaves strided copies to others."""

    @staticmethod
    def forward(context: Any, matrix: Tensor) -> Tensor:
        return matrix.t().contiguous()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        transposed: Tensor = _Transpose.apply(gradients[0])
        return transposed


def to_planes(images: Tensor) -> Tensor:
    """[image, channel, height, width], best in channels-last memory, → [channel, image, height, width]."""
    n, channels, height, width = images.shape
    planes: Tensor = _Transpose.apply(images.permute(0, 2, 3, 1).reshape(-1, channels))
    return planes.view(channels, n, height, width)


def from_planes(planes: Tensor) -> Tensor:
    """[channel, image, height, width] → [image, channel, height, width] in channels-last memory."""
    channels, n, height, width = planes.shape
    images: Tensor = _Transpose.apply(planes.reshape(channels, -1))
    return images.view(n, height, width, channels).permute(0, 3, 1, 2)


def by_block(weight: Tensor) -> Tensor:
    """`weight [individual, block, …]` in the order of planes: [block · individual, …]. A view for one individual."""
    return weight.transpose(0, 1).flatten(0, 1)


class PlaneNorm(BatchNorm):
    """Batch norm of planes without weights of its own; scale and shift may be given with each call.

    Its rows are [block, individual, channel], so many in all.
    """

    momentum: float

    def __init__(self, rows: int, blocks: int = 1) -> None:
        super().__init__(rows, affine=False)
        self.blocks = blocks

    def forward(self, planes: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """[channel, image, height, width], normalised per channel, times `scale [channel]`, plus `shift [channel]`."""
        if self.training and shift is None and by_rows(planes):
            normed, mean, inverse = _RowNorm.apply(planes.flatten(1), scale, self.eps)
            self.move(0, mean, inverse.square().reciprocal().sub(self.eps).clamp_(min=0), normed.shape[1])
            found: Tensor = normed.view(planes.shape)
            return found
        rows = F.batch_norm(
            planes.reshape(1, len(planes), -1),
            *self.moving_statistics(),
            weight=scale,
            bias=shift,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return rows.view(planes.shape)

    def move(self, first: int, mean: Tensor, variance: Tensor, n_values: int) -> None:
        """Move running statistics as a pass does that normalises by a batch's `mean` and `variance` of its own.

        They are of rows from `first` on, over `n_values` values each.
        """
        unbiased = variance * (n_values / (n_values - 1))
        for moving, seen in zip(self.moving_statistics(), (mean, unbiased), strict=True):
            if moving is not None:
                moving[first : first + seen.numel()].lerp_(seen.flatten(), self.momentum)

    def statistics_of(self, places: Sequence[int], individuals: int) -> dict[str, Tensor]:
        """The running statistics of some of its individuals, by name."""
        moving = {"running_mean": self.running_mean, "running_var": self.running_var}
        return {
            name: each.view(self.blocks, individuals, -1)[:, list(places)].flatten()
            for name, each in moving.items()
            if each is not None
        }


def by_rows(planes: Tensor) -> bool:
    """Whether to norm planes by `_RowNorm`: on a CPU, in full precision, where there is something to normalise."""
    return on_cpu(planes) and planes.dtype in (torch.float32, torch.float64) and planes[0].numel() > 1


class _RowNorm(torch.autograd.Function):
    """Rows, normalised and scaled, with their means and the inverses of their standard deviations.

    Forward by the library's layer norm, which is more than twice as fast on rows as its batch norm (measured on a CPU);
    the gradient is batch norm's.
    """

    @staticmethod
    def forward(context: Any, rows: Tensor, scale: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        normed, *moments = torch.ops.aten.native_layer_norm(rows, rows.shape[1:], None, None, eps)
        if scale is not None:
            normed.mul_(scale[:, None])
        mean, inverse = (each.flatten() for each in moments)
        context.save_for_backward(rows, scale, mean, inverse)
        context.eps = eps
        context.mark_non_differentiable(mean, inverse)
        return normed, mean, inverse

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, scale, mean, inverse = context.saved_tensors
        wanted = [*context.needs_input_grad[:2], False]
        of_rows, of_scale, _ = torch.ops.aten.native_batch_norm_backward(
            gradients[0][None], rows[None], scale, None, None, mean, inverse, True, context.eps, wanted
        )
        return of_rows.squeeze(0) if wanted[0] else None, of_scale if wanted[1] else None, None


Edges = tuple[int, ...]
"""Of blocks, one after another, the edges that they belong to, from 0."""


@lru_cache(maxsize=1024)
def routing_of(edges: Edges, n_edges: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where a block belongs to an edge, else 0: [edge, block]."""
    with torch.inference_mode(False):  # it is kept for passes that train
        belongs = torch.arange(n_edges)[:, None] == torch.tensor(edges, dtype=torch.int64)
        return belongs.to(dtype=dtype, device=device)


def plus_blocks(total: Tensor | None, edges: Edges, n_edges: int, blocks: Tensor) -> Tensor:
    """`total [edge, …]` plus each edge's sum over its `blocks`, of one type: a product with zeros and ones."""
    routing, rows = routing_of(edges, n_edges, blocks.dtype, blocks.device), blocks.reshape(len(edges), -1)
    return routing @ rows if total is None else torch.addmm(total, routing, rows)


class ChannelMix(nn.Module):
    """A 1×1 convolution in `groups`: `weight [individual, group, out channel, in channel]`, one matrix product."""

    def __init__(self, individuals: int, groups: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        shape = (individuals, groups, out_channels, in_channels)
        self.weight = nn.Parameter(uniform_weight(shape, fan_in=in_channels))

    def matrices(self) -> Tensor:
        """[group · individual, out channel, in channel]."""
        return by_block(self.weight)

    def forward(self, planes: Tensor) -> Tensor:
        """Rows [group, individual, in channel] → [group, individual, out channel], each [image, height, width]."""
        matrices = self.matrices()
        rows = torch.bmm(matrices, planes.reshape(len(matrices), matrices.shape[2], -1))
        return rows.view(-1, *planes.shape[1:])


class MixNorm(nn.Module):
    """A cell's first step with an input of unchanged size, `ReluConvNorm`, on planes that went through ReLU already."""

    def __init__(self, individuals: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.mix = ChannelMix(individuals, 1, in_channels, out_channels)
        self.norm = PlaneNorm(individuals * out_channels)

    def forward(self, activated: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.mix(activated))
        return normed


N_PHASES = 2
"""The halves of a factorized reduction see pixels at even rows and columns, and at odd ones."""


class Reductions(nn.Module):
    """`FactorizedReduce` on activated planes, on several edges of each state: each edge has its own two halves.

    Where both halves are as wide, one product computes them.
    """

    def __init__(self, individuals: int, edges: int, in_channels: int, out_channels: int, *, states: int = 1) -> None:
        super().__init__()
        half, groups = out_channels // 2, N_PHASES * states
        self.by_edge = (states, individuals, edges)
        widths = [half, half + 1] if out_channels % 2 else [half]
        self.halves = nn.ModuleList(
            ChannelMix(individuals, groups // len(widths), in_channels, edges * width) for width in widths
        )
        self.norm = PlaneNorm(individuals * edges * states * out_channels, edges * states)

    def forward(self, activated: Tensor, scale: Tensor | None = None) -> Tensor:
        """Rows [state, individual, channel] → [edge, state, individual, out channel], at half the size, rounded up."""
        phases = diagonal_phases(activated).chunk(len(self.halves))
        mixed = [half(phase) for half, phase in zip(self.halves, phases, strict=True)]
        by_phase = [each.view(N_PHASES // len(mixed), *self.by_edge, -1, *each.shape[1:]) for each in mixed]
        by_edge = [each.permute(3, 1, 2, 0, 4, 5, 6, 7).flatten(3, 4) for each in by_phase]
        joined = torch.cat(by_edge, dim=3) if len(by_edge) > 1 else by_edge[0]
        normed: Tensor = self.norm(joined.flatten(0, 3), scale)
        return normed


def diagonal_phases(planes: Tensor) -> Tensor:
    """Rows [channel] → [phase, channel], as stride 2 sees them; pads as `shift_by_a_pixel` does."""
    channels, n, height, width = planes.shape
    if height % 2 or width % 2:
        planes = F.pad(planes, (0, width % 2, 0, height % 2))
    blocks = planes.view(channels, n, planes.shape[2] // 2, 2, planes.shape[3] // 2, 2)
    return blocks.diagonal(dim1=3, dim2=5).permute(4, 0, 1, 2, 3).flatten(0, 1)


def shuffled(parts: Sequence[Tensor], individuals: int) -> Tensor:
    """A node of its parts, each with rows [individual, channel]: of operations and, if any, of what passed them by.

    Channels are taken in turns from groups as large as the first part (PC-DARTS), which all edges would do alike.
    """
    if len(parts) == 1:
        return parts[0]
    mixed, passing = (part.view(individuals, -1, *part.shape[1:]) for part in parts)
    groups = passing.unflatten(1, (-1, mixed.shape[1])).transpose(1, 2)
    return torch.cat([mixed[:, :, None], groups], dim=2).flatten(0, 2)


def uniform_weight(shape: tuple[int, ...], *, fan_in: int) -> Tensor:
    """A fresh weight, distributed as torch's convolutions of that fan-in start (DARTS): uniform in ±1/√fan_in."""
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
