"""All operations on the edges that leave one state of a cell, computed together.

The edges share their input, so one ReLU serves them all, each pool and its batch norm is computed once (it has
no weights, so it is the same function on every edge), convolutions of one kind run as one call over concatenated
channels, and the 1×1 convolutions and batch norms of all kinds as one each. The mixture's weights are the scales of
the last batch norms. `none` is zero: its mixture weight stays in the softmax and nothing is computed. All of it is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from medarts_ops.networks.depthwise import depthwise
from medarts_ops.networks.operations import average_pool, max_pool
from medarts_ops.networks.planes import ChannelMix, PlaneNorm, Reductions, from_planes, to_planes, uniform_weight


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
SKIP = "skip_connect"


class SecondHalf(nn.Module):
    """What a separable convolution does after its first half, for all branches that run twice."""

    def __init__(self, kinds: list[tuple[ConvolutionKind, int]], channels: int) -> None:
        super().__init__()
        branches = sum(count for _, count in kinds)
        self.norm = PlaneNorm(branches * channels)
        self.depthwise = _kernels(kinds, channels)
        self.pointwise = ChannelMix(branches, channels, channels)
        self.last_norm = PlaneNorm(branches * channels)

    def forward(self, halfway: Tensor, scale: Tensor) -> Tensor:
        """[branch · channel, image, height, width] and `scale [branch · channel]` → the same shape."""
        by_kind = F.relu(self.norm(halfway)).split([len(weight) for weight in self.depthwise])
        second = [
            depthwise(planes, weight, stride=1, dilation=1, copies=1)
            for planes, weight in zip(by_kind, self.depthwise, strict=True)
        ]
        normed: Tensor = self.last_norm(self.pointwise(torch.cat(second)), scale)
        return normed


class ConvolutionBranches(nn.Module):
    """The separable and dilated convolutions of a state's edges; a branch is one (operation, edge).

    Args:
        kinds: each kind with the edges that have it.
        channels: of the state and of each branch.
        stride: of each branch.
    """

    def __init__(self, kinds: list[tuple[ConvolutionKind, list[int]]], channels: int, stride: int) -> None:
        super().__init__()
        counted = [(kind, len(edges)) for kind, edges in kinds]
        twice = [(kind, count) for kind, count in counted if kind.twice]
        branches, n_twice = sum(count for _, count in counted), sum(count for _, count in twice)
        self.kinds, self.stride = counted, stride
        self.twice_width, self.once_width = n_twice * channels, (branches - n_twice) * channels
        self.depthwise = _kernels(counted, channels)
        self.pointwise = ChannelMix(branches, channels, channels)
        self.second_half = SecondHalf(twice, channels) if self.twice_width else None
        self.once_norm = PlaneNorm(self.once_width) if self.once_width else None

    def forward(self, activated: Tensor, scale: Tensor) -> list[Tensor]:
        """ReLU'd state [channel, image, height, width], `scale [branch · channel]` → blocks [branch · channel, …]."""
        first = [
            depthwise(activated, weight, stride=self.stride, dilation=kind.dilation, copies=count)
            for (kind, count), weight in zip(self.kinds, self.depthwise, strict=True)
        ]
        twice, once = self.pointwise(torch.cat(first)).split([self.twice_width, self.once_width])
        finished = []
        if self.second_half is not None:
            finished.append(self.second_half(twice, scale[: self.twice_width]))
        if self.once_norm is not None:
            finished.append(self.once_norm(once, scale[self.twice_width :]))
        return finished


class EdgeWeights(NamedTuple):
    """Mixture weights of a state's edges: `own [block]` and `shared [edge, operation]`; see `StateEdges`."""

    own: Tensor
    shared: Tensor


class StateEdges(nn.Module):
    """The mixed operations of all edges that leave one state.

    Args:
        primitives: names of the operations, the columns of `mask`.
        mask: bool [edge, op] of these edges.
        channels: of the state and of each edge's output.
        stride: 2 on the edges from a reduction cell's inputs.

    Attributes:
        own: (edge, column) of each block that an edge has for itself: convolutions, and `skip_connect` at stride 2.
        shared_columns: operations that are computed once for all edges: pools, and `skip_connect` at stride 1.
    """

    def __init__(self, primitives: tuple[str, ...], mask: NDArray[np.bool_], channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride, self.n_edges = channels, stride, len(mask)
        with_edges = [(kind, _edges_with(mask, primitives, kind.name)) for kind in CONVOLUTION_KINDS]
        kinds = [(kind, edges) for kind, edges in with_edges if edges]
        self.branches = ConvolutionBranches(kinds, channels, stride) if kinds else None
        self.own = [(edge, primitives.index(kind.name)) for kind, edges in kinds for edge in edges]
        skipping = _edges_with(mask, primitives, SKIP)
        self.reductions = Reductions(len(skipping), channels, channels) if skipping and stride == 2 else None
        if self.reductions is not None:
            self.own += [(edge, primitives.index(SKIP)) for edge in skipping]
        pools = [name for name in POOLS if _edges_with(mask, primitives, name)]
        self.pools = nn.ModuleList(POOLS[name](stride) for name in pools)
        self.pool_norms = nn.ModuleList(PlaneNorm(channels) for _ in pools)
        self.passes_on = bool(skipping) and stride == 1
        self.shared_columns = [primitives.index(name) for name in pools + [SKIP] * self.passes_on]
        self._buffers_of(mask)

    def _buffers_of(self, mask: NDArray[np.bool_]) -> None:
        # An operation that an edge lacks must not reach it through what the edges share.
        self.shared_mask: Tensor
        self.register_buffer("shared_mask", torch.from_numpy(mask[:, self.shared_columns]), persistent=False)
        routing = torch.zeros(self.n_edges, len(self.own))
        for block, (edge, _) in enumerate(self.own):
            routing[edge, block] = 1
        self.routing: Tensor
        self.register_buffer("routing", routing, persistent=False)

    def weights(self, mixture: Tensor) -> EdgeWeights:
        """What this state's edges need of `mixture [edge, op]`; the same for every cell of a kind."""
        edges, columns = zip(*self.own, strict=True) if self.own else ((), ())
        shared = torch.where(self.shared_mask, mixture[:, self.shared_columns], 0.0)
        return EdgeWeights(own=mixture[list(edges), list(columns)], shared=shared)

    def forward(self, state: Tensor, weights: EdgeWeights) -> Tensor:
        """`state [channel, image, height, width]` → [edge · channel, image, …]."""
        parts = [part for part in (self._shared(state, weights), self._own(state, weights)) if part is not None]
        if not parts:
            return torch.zeros_like(state[:, :, :: self.stride, :: self.stride]).repeat(self.n_edges, 1, 1, 1)
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def _own(self, state: Tensor, weights: EdgeWeights) -> Tensor | None:
        """Each edge's sum over the operations that it has for itself."""
        if not self.own:
            return None
        scale = weights.own[:, None].expand(-1, self.channels).reshape(-1)
        reduced = 0 if self.reductions is None else self.reductions.norm.num_features
        of_branches, of_reductions = scale.split([len(scale) - reduced, reduced])
        blocks = [] if self.branches is None else self.branches(F.relu(state), of_branches)
        if self.reductions is not None:
            blocks.append(self.reductions(state, of_reductions))
        joined = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
        # A row a block: the product with zeros and ones adds up those of each edge.
        summed = self.routing.to(joined.dtype) @ joined.view(len(self.own), -1)
        return summed.view(-1, *joined.shape[1:])

    def _shared(self, state: Tensor, weights: EdgeWeights) -> Tensor | None:
        """Each edge's weighted sum over what all edges share."""
        if not self.shared_columns:
            return None
        shared: list[Tensor] = []
        if len(self.pools):
            images = from_planes(state)
            pooled = [to_planes(pool(images)) for pool in self.pools]
            shared = [norm(planes) for norm, planes in zip(self.pool_norms, pooled, strict=True)]
        if self.passes_on:
            shared.append(state)
        stacked = torch.stack(shared)
        # Autocast would round the weights to half precision, in which young α's differences are lost.
        with torch.autocast(stacked.device.type, enabled=False):
            mixed = weights.shared @ stacked.flatten(1).to(weights.shared.dtype)
        return mixed.view(-1, *stacked.shape[2:])


def _edges_with(mask: NDArray[np.bool_], primitives: tuple[str, ...], name: str) -> list[int]:
    return [] if name not in primitives else np.flatnonzero(mask[:, primitives.index(name)]).tolist()


def _kernels(kinds: list[tuple[ConvolutionKind, int]], channels: int) -> nn.ParameterList:
    """[branch · channel, kernel, kernel] for each kind."""
    return nn.ParameterList(
        nn.Parameter(uniform_weight((count * channels, kind.kernel, kind.kernel), fan_in=kind.kernel**2))
        for kind, count in kinds
    )
