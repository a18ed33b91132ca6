"""All operations on the edges that leave one state of a cell, computed together.

The edges share their input, so one ReLU serves them all, each pool and its batch norm is computed once (it has
no weights, so it is the same function on every edge), and convolutions of one kind run as one call over
concatenated channels. The mixture's weights are the scales of the last batch norms. `none` is zero: its mixture
weight stays in the softmax and nothing is computed. All of it is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from medarts_ops.networks.operations import average_pool, max_pool, shift_by_a_pixel


@dataclass(frozen=True)
class ConvolutionKind:
    """A depthwise-separable operation: kernel, dilation, and whether it runs its half twice."""

    name: str
    kernel: int
    dilation: int
    twice: bool


# Those that run twice come first, so that a slice of channels is all that goes through the second half.
CONVOLUTION_KINDS = (
    ConvolutionKind("sep_conv_3x3", 3, 1, True),
    ConvolutionKind("sep_conv_5x5", 5, 1, True),
    ConvolutionKind("sep_conv_7x7", 7, 1, True),
    ConvolutionKind("dil_conv_3x3", 3, 2, False),
    ConvolutionKind("dil_conv_5x5", 5, 2, False),
)
POOLS = {"max_pool_3x3": max_pool, "avg_pool_3x3": average_pool}


class ScaledBatchNorm(nn.BatchNorm2d):
    """Batch norm without weights of its own whose scale is given with each call."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, images: Tensor, scale: Tensor | None = None) -> Tensor:
        """[image, channel, height, width], normalised per channel, times `scale [channel]`."""
        by_batch = self.training
        moving = not by_batch or self.track_running_stats
        return F.batch_norm(
            images,
            self.running_mean if moving else None,
            self.running_var if moving else None,
            weight=scale,
            training=by_batch,
            momentum=0.1,
            eps=self.eps,
        )


class DepthwiseByKind(nn.Module):
    """Depthwise convolutions of several kinds over the branches' channels, one call a kind."""

    def __init__(self, kinds: list[ConvolutionKind], counts: list[int], channels: int, stride: int) -> None:
        super().__init__()
        self.widths = [count * channels for count in counts]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                width,
                width,
                kind.kernel,
                stride=stride,
                padding=kind.dilation * (kind.kernel - 1) // 2,
                dilation=kind.dilation,
                groups=width,
                bias=False,
            )
            for kind, width in zip(kinds, self.widths, strict=True)
        )

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """One input per kind, [image, branch · channel, height, width] → all, concatenated."""
        return torch.cat([conv(images) for conv, images in zip(self.convolutions, inputs, strict=True)], dim=1)


class ConvolutionBranches(nn.Module):
    """The separable and dilated convolutions of all edges of a state; a branch is one (operation, edge)."""

    def __init__(self, branches: list[tuple[ConvolutionKind, int]], channels: int, stride: int) -> None:
        super().__init__()
        kinds = [kind for kind in CONVOLUTION_KINDS if any(kind == branch for branch, _ in branches)]
        counts = [sum(kind == branch for branch, _ in branches) for kind in kinds]
        twice = [kind for kind in kinds if kind.twice]
        n_twice = sum(kind.twice for kind, _ in branches)
        self.counts = counts
        self.twice_width, self.once_width = n_twice * channels, (len(branches) - n_twice) * channels
        self.depthwise = DepthwiseByKind(kinds, counts, channels, stride)
        # A grouped 1×1 convolution: each branch mixes its own channels, initialised with their fan-in.
        self.pointwise = _pointwise(len(branches), channels)
        if n_twice:
            self.middle_norm = ScaledBatchNorm(self.twice_width)
            self.second_depthwise = DepthwiseByKind(twice, counts[: len(twice)], channels, 1)
            self.second_pointwise = _pointwise(n_twice, channels)
            self.twice_norm = ScaledBatchNorm(self.twice_width)
        if self.once_width:
            self.once_norm = ScaledBatchNorm(self.once_width)

    def forward(self, activated: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        """ReLU'd state and `scale [branch · channel]` → scaled outputs, in pieces of whole branches."""
        first = self.pointwise(self.depthwise([activated.repeat(1, count, 1, 1) for count in self.counts]))
        if not self.twice_width:
            return (self.once_norm(first, scale),)
        twice, once = first.split([self.twice_width, self.once_width], dim=1)
        middle = F.relu(self.middle_norm(twice))
        second = self.second_pointwise(self.second_depthwise(list(middle.split(self.second_depthwise.widths, dim=1))))
        scaled_twice = self.twice_norm(second, scale[: self.twice_width])
        if not self.once_width:
            return (scaled_twice,)
        return scaled_twice, self.once_norm(once, scale[self.twice_width :])


class SkipReductions(nn.Module):
    """`skip_connect` at stride 2 on several edges: their factorized reductions as one."""

    def __init__(self, n_edges: int, channels: int) -> None:
        super().__init__()
        self.halves = (channels // 2, channels - channels // 2)
        self.n_edges = n_edges
        self.straight = nn.Conv2d(channels, n_edges * self.halves[0], 1, stride=2, bias=False)
        self.shifted = nn.Conv2d(channels, n_edges * self.halves[1], 1, stride=2, bias=False)
        self.norm = ScaledBatchNorm(n_edges * channels)

    def forward(self, activated: Tensor, scale: Tensor) -> Tensor:
        """ReLU'd state and `scale [edge · channel]` → [image, edge · channel, height, width], scaled."""
        straight = self.straight(activated).split(self.halves[0], dim=1)
        shifted = self.shifted(shift_by_a_pixel(activated)).split(self.halves[1], dim=1)
        by_edge = [half for pair in zip(straight, shifted, strict=True) for half in pair]
        normed: Tensor = self.norm(torch.cat(by_edge, dim=1), scale)
        return normed


class StateEdges(nn.Module):
    """The mixed operations of all edges that leave one state.

    Args:
        primitives: names of the operations, the columns of `mask`.
        mask: bool [edge, op] of these edges.
        channels: of the state and of each edge's output.
        stride: 2 on the edges from a reduction cell's inputs.
    """

    def __init__(self, primitives: tuple[str, ...], mask: NDArray[np.bool_], channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.n_edges = len(mask)
        self.stride = stride
        columns = {name: column for column, name in enumerate(primitives)}
        self.branches = [
            (kind, edge)
            for kind in CONVOLUTION_KINDS
            if kind.name in columns
            for edge in range(self.n_edges)
            if mask[edge, columns[kind.name]]
        ]
        self.branch_edges = [edge for _, edge in self.branches]
        self.branch_columns = [columns[kind.name] for kind, _ in self.branches]
        if self.branches:
            self.convolutions = ConvolutionBranches(self.branches, channels, stride)
        self.pool_columns: list[int] = []
        self.pools = nn.ModuleList()
        for name, build in POOLS.items():
            if name in columns and mask[:, columns[name]].any():
                self.pools.append(nn.Sequential(build(stride), nn.BatchNorm2d(channels, affine=False)))
                self.pool_columns.append(columns[name])
        self.skip_column = columns.get("skip_connect", -1)
        self.skip_edges = [e for e in range(self.n_edges) if self.skip_column >= 0 and mask[e, self.skip_column]]
        if stride == 2 and self.skip_edges:
            self.skips = SkipReductions(len(self.skip_edges), channels)
        # An operation that an edge lacks must not reach it through what the edges share.
        self.mask: Tensor
        self.register_buffer("mask", torch.from_numpy(mask.copy()), persistent=False)

    def forward(self, state: Tensor, mixture: Tensor) -> list[Tensor]:
        """`state [image, channel, height, width]`, `mixture [edge, op]` → one output per edge."""
        activated = F.relu(state)
        by_edge: list[list[Tensor]] = [[piece] for piece in self._shared(state, mixture)]
        if self.branches:
            scale = mixture[self.branch_edges, self.branch_columns].repeat_interleave(self.channels)
            pieces = [p for whole in self.convolutions(activated, scale) for p in whole.split(self.channels, dim=1)]
            for edge, piece in zip(self.branch_edges, pieces, strict=True):
                by_edge[edge].append(piece)
        if self.stride == 2 and self.skip_edges:
            scale = mixture[self.skip_edges, self.skip_column].repeat_interleave(self.channels)
            for edge, piece in zip(
                self.skip_edges, self.skips(activated, scale).split(self.channels, dim=1), strict=True
            ):
                by_edge[edge].append(piece)
        return [_total(pieces) for pieces in by_edge]

    def _shared(self, state: Tensor, mixture: Tensor) -> tuple[Tensor, ...]:
        """What is computed once for all edges (pools, identity), mixed for each by one matrix product."""
        shared = [pool(state) for pool in self.pools]
        columns = list(self.pool_columns)
        if self.stride == 1 and self.skip_edges:
            shared.append(state)
            columns.append(self.skip_column)
        if not shared:
            zero = state[:, :, :: self.stride, :: self.stride] * 0.0
            return (zero,) * self.n_edges
        weights = torch.where(self.mask[:, columns], mixture[:, columns], 0.0)
        # NHWC inside: what is stacked and split is contiguous in channels-last memory.
        stacked = torch.stack([images.permute(0, 2, 3, 1) for images in shared])
        # Autocast would round the weights to half precision, in which young α's differences are lost.
        with torch.autocast(state.device.type, enabled=False):
            mixed = (weights @ stacked.flatten(1).to(weights.dtype)).view(self.n_edges, *stacked.shape[1:])
        return tuple(images.permute(0, 3, 1, 2) for images in mixed.unbind())


def _pointwise(branches: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(branches * channels, branches * channels, 1, groups=branches, bias=False)


def _total(pieces: list[Tensor]) -> Tensor:
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    return total
