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

from medarts_ops.networks.autocast import without_autocast
from medarts_ops.networks.operations import average_pool, max_pool
from medarts_ops.networks.planes import (
    ChannelMix,
    PlaneNorm,
    Reductions,
    by_block,
    from_planes,
    to_planes,
    uniform_weight,
)
from medarts_ops.networks.separable import separable_half


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


class SeparableHalves(nn.Module):
    """Depthwise and 1×1 convolution of all branches; a branch is one (operation, edge).

    Args:
        kinds: each kind with the number of its branches.
        channels: of each branch.
        stride: of each branch.
    """

    def __init__(self, individuals: int, kinds: list[tuple[ConvolutionKind, int]], channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.dilations = stride, [kind.dilation for kind, _ in kinds]
        self.depthwise = nn.ParameterList(
            nn.Parameter(
                uniform_weight((individuals, count, channels, kind.kernel, kind.kernel), fan_in=kind.kernel**2)
            )
            for kind, count in kinds
        )
        self.pointwise = ChannelMix(individuals, sum(count for _, count in kinds), channels, channels)

    def forward(self, activated: Tensor) -> Tensor:
        """Rows [individual, channel], or [branch, individual, channel] → [branch, individual, channel]."""
        kernels = [by_block(weight).flatten(0, 1) for weight in self.depthwise]
        return separable_half(activated, kernels, self.dilations, self.pointwise.matrices(), self.stride)


class ConvolutionBranches(nn.Module):
    """The separable and dilated convolutions of a state's edges.

    Args:
        individuals: how many are stacked.
        kinds: each kind with the number of its branches.
        channels: of the state and of each branch.
        stride: of each branch.
    """

    def __init__(self, individuals: int, kinds: list[tuple[ConvolutionKind, int]], channels: int, stride: int) -> None:
        super().__init__()
        twice = [(kind, count) for kind, count in kinds if kind.twice]
        rows = individuals * channels
        self.twice_rows = rows * sum(count for _, count in twice)
        self.once_rows = rows * sum(count for kind, count in kinds if not kind.twice)
        self.first = SeparableHalves(individuals, kinds, channels, stride)
        self.norm = PlaneNorm(self.twice_rows + self.once_rows)
        self.second = SeparableHalves(individuals, twice, channels, 1) if twice else None
        self.last_norm = PlaneNorm(self.twice_rows) if twice else None

    def forward(self, activated: Tensor, scale: Tensor, last_scale: Tensor) -> list[Tensor]:
        """Finished branches, rows [branch, individual, channel]: those that run twice, then those that run once.

        Args:
            activated: the state after ReLU, rows [individual, channel].
            scale: of the first halves' norm; 1 for branches that run twice.
            last_scale: of the second halves' norm.
        """
        twice, once = self.norm(self.first(activated), scale).split([self.twice_rows, self.once_rows])
        finished = []
        if self.second is not None and self.last_norm is not None:
            finished.append(self.last_norm(self.second(F.relu(twice)), last_scale))
        if self.once_rows:
            finished.append(once)
        return finished


class EdgeWeights(NamedTuple):
    """A state's part of the mixtures, arranged for its products; see `StateEdges`.

    `scale [entry, individual]` has the scales of batch norms (1 where a norm only normalises), `shared
    [individual, edge, operation]` the weights of what all edges share.
    """

    scale: Tensor
    shared: Tensor


class StateEdges(nn.Module):
    """The edges that leave one state.

    Args:
        individuals: how many are stacked.
        primitives: the operations' names.
        mask: bool [edge, op], which operations each edge has.
        channels: of the state and of each edge's output.
        stride: 2 on the edges from a reduction cell's inputs.

    Attributes:
        own: (edge, column) of each block that an edge has for itself: convolutions that run their half twice, those
            that run it once, and `skip_connect` at stride 2.
        shared_columns: operations that are computed once for all edges: pools, and `skip_connect` at stride 1.
    """

    def __init__(
        self, individuals: int, primitives: tuple[str, ...], mask: NDArray[np.bool_], channels: int, stride: int
    ) -> None:
        super().__init__()
        self.individuals, self.channels, self.stride, self.n_edges = individuals, channels, stride, len(mask)
        with_edges = [(kind, _edges_with(mask, primitives, kind.name)) for kind in CONVOLUTION_KINDS]
        kinds = [(kind, edges) for kind, edges in with_edges if edges]
        counted = [(kind, len(edges)) for kind, edges in kinds]
        self.branches = ConvolutionBranches(individuals, counted, channels, stride) if kinds else None
        self.own = [(edge, primitives.index(kind.name)) for kind, edges in kinds for edge in edges]
        self.n_branches, self.n_twice = len(self.own), sum(count for kind, count in counted if kind.twice)
        skipping = _edges_with(mask, primitives, SKIP)
        self.reductions: Reductions | None = None
        if skipping and stride == 2:
            self.reductions = Reductions(individuals, len(skipping), channels, channels)
            self.own += [(edge, primitives.index(SKIP)) for edge in skipping]
        pools = [name for name in POOLS if _edges_with(mask, primitives, name)]
        self.pools = nn.ModuleList(POOLS[name](stride) for name in pools)
        self.pool_norm = PlaneNorm(individuals * channels * len(pools)) if pools else None
        self.passes_on = bool(skipping) and stride == 1
        self.shared_columns = [primitives.index(name) for name in pools + [SKIP] * self.passes_on]
        self.routing: Tensor
        self.register_buffer("routing", _routing(self.n_edges, self.own), persistent=False)

    def scale_entries(self) -> list[tuple[int, int] | None]:
        """(edge, column) of each row of `EdgeWeights.scale`; None is a scale of 1."""
        twice, once, skips = self._parts(self.own)
        return [*([None] * len(twice)), *once, *twice, *skips]

    def _parts(self, own: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        return [own[: self.n_twice], own[self.n_twice : self.n_branches], own[self.n_branches :]]

    def forward(self, state: Tensor, weights: EdgeWeights, received: Tensor | None) -> Tensor:
        """Add what the edges bring to what their targets have received.

        Args:
            state: rows [individual, channel], each [image, height, width].
            weights: this state's.
            received: rows [edge, individual, channel] at the edges' output size; None is nothing yet.
        """
        size = (state.shape[1], -(-state.shape[2] // self.stride), -(-state.shape[3] // self.stride))
        total = None if received is None else received.reshape(self.n_edges, -1)
        first = 0
        for finished in self._own(state, weights.scale):
            blocks = finished.view(len(finished) // (self.individuals * self.channels), -1)
            total = _plus_product(total, self.routing[:, first : first + len(blocks)], blocks)
            first += len(blocks)
        total = self._plus_shared(total, state, weights.shared)
        if total is None:
            return state.new_zeros(self.n_edges * len(state), *size)
        return total.view(-1, *size)

    def _own(self, state: Tensor, scale: Tensor) -> list[Tensor]:
        """What edges have for themselves: rows [block, individual, channel], in the order of `own`."""
        if not self.own:
            return []
        activated = F.relu(state)
        rows = self.individuals * self.channels
        sizes = [rows * n for n in (self.n_branches, self.n_twice, len(self.own) - self.n_branches)]
        of_first, of_twice, of_skips = scale[:, :, None].expand(-1, -1, self.channels).reshape(-1).split(sizes)
        finished = [] if self.branches is None else self.branches(activated, of_first, of_twice)
        if self.reductions is not None:
            finished.append(self.reductions(activated, of_skips))
        return finished

    def _plus_shared(self, total: Tensor | None, state: Tensor, weights: Tensor) -> Tensor | None:
        """Each edge's weighted sum over what all edges share, one product for each individual."""
        shared: list[Tensor] = []
        if self.pool_norm is not None:
            images = from_planes(state)
            shared.append(self.pool_norm(to_planes(torch.cat([pool(images) for pool in self.pools], dim=1))))
        if self.passes_on:
            shared.append(state)
        if not shared:
            return total
        operations = torch.cat(shared) if len(shared) > 1 else shared[0]
        values = operations.view(len(self.shared_columns), self.individuals, -1).transpose(0, 1).to(weights.dtype)
        # Autocast would round the weights to half precision, in which young α's differences are lost.
        with without_autocast(state.device):
            if total is None:
                summed = torch.bmm(weights, values)
            else:
                by_individual = total.view(self.n_edges, self.individuals, -1).transpose(0, 1)
                summed = torch.baddbmm(by_individual.to(weights.dtype), weights, values)
        return summed.transpose(0, 1).reshape(self.n_edges, -1)


def _plus_product(total: Tensor | None, routing: Tensor, blocks: Tensor) -> Tensor:
    """`total [edge, …]` plus each edge's sum over its `blocks [block, …]`: a product with zeros and ones."""
    routing = routing.to(blocks)
    if total is None:
        return routing @ blocks
    if total.dtype == blocks.dtype:
        return torch.addmm(total, routing, blocks)
    return total + routing @ blocks  # half precision beside full


def _routing(n_edges: int, blocks: list[tuple[int, int]]) -> Tensor:
    routing = torch.zeros(n_edges, len(blocks))
    for block, (edge, _) in enumerate(blocks):
        routing[edge, block] = 1
    return routing


def _edges_with(mask: NDArray[np.bool_], primitives: tuple[str, ...], name: str) -> list[int]:
    return [] if name not in primitives else np.flatnonzero(mask[:, primitives.index(name)]).tolist()
