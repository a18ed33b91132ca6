"""The convolutions of all edges that leave a state, or states read together: a branch is one (operation, edge, state).

Convolutions of one kind run as one call over concatenated channels, and the 1×1 convolutions and batch norms of all
separable kinds as one each. The mixture's weights are the scales of the last batch norms. Constructors take how many
individuals are stacked, the kinds with their numbers of branches, and each branch's channels and stride; of separable
ones the `matrix_side` of `separable_half`, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.networks import moments
from medarts_ops.networks.depthwise import depthwise
from medarts_ops.networks.operations import Factored, Separable
from medarts_ops.networks.planes import (
    ChannelMix,
    Edges,
    PlaneNorm,
    by_block,
    from_planes,
    plus_blocks,
    routing_of,
    to_planes,
    uniform_weight,
)
from medarts_ops.networks.separable import depthwise_kinds, is_by_matrix, separable_half

Kinds = list[tuple[Separable, list[int]]]
"""The separable operations, each with the targets that its edges lead to, from 0; one from each state in turn."""


class SeparableHalves(nn.Module):
    """Depthwise and 1×1 convolution of all branches."""

    def __init__(self, individuals: int, kinds: Kinds, channels: int, stride: int, matrix_side: int) -> None:
        super().__init__()
        self.stride, self.dilations, self.matrix_side = stride, [kind.dilation for kind, _ in kinds], matrix_side
        shapes = [(individuals, len(edges), channels, kind.kernel, kind.kernel) for kind, edges in kinds]
        self.depthwise = nn.ParameterList(nn.Parameter(uniform_weight(each, fan_in=each[-1] ** 2)) for each in shapes)
        self.pointwise = ChannelMix(individuals, sum(len(edges) for _, edges in kinds), channels, channels)

    def forward(self, activated: Tensor) -> Tensor:
        """Rows [individual, channel], or [branch, individual, channel] → [branch, individual, channel]."""
        pointwise = self.pointwise.matrices()
        return separable_half(activated, self._kernels(), self.dilations, pointwise, self.stride, self.matrix_side)

    def depthwise_alone(self, activated: Tensor) -> tuple[Tensor, ...]:
        """The same without the 1×1 convolutions, kind by kind: see `depthwise_kinds`."""
        return depthwise_kinds(activated, self._kernels(), self.dilations, self.stride)

    def depthwise_each(self, images: Sequence[Tensor]) -> list[Tensor]:
        """The depthwise convolutions of each kind's own channels-last images; they don't stride."""
        by_kind = zip(images, self._kernels(), self.dilations, strict=True)
        return [depthwise(own, kernel, 1, dilation) for own, kernel, dilation in by_kind]

    def _kernels(self) -> list[Tensor]:
        return [by_block(weight).flatten(0, 1) for weight in self.depthwise]


class SeparableBranches(nn.Module):
    """The separable and dilated convolutions of edges; the kinds that run their half twice come first."""

    def __init__(
        self, individuals: int, kinds: Kinds, n_edges: int, channels: int, stride: int, matrix_side: int
    ) -> None:
        super().__init__()
        self.stride, self.channels, self.matrix_side = stride, channels, matrix_side
        twice, once = ([each for each in kinds if each[0].twice is again] for again in (True, False))
        self.n_twice, self.n_once = (sum(len(edges) for _, edges in part) for part in (twice, once))
        self.branches_twice, self.kinds_twice = individuals * self.n_twice, len(twice)
        self.twice_rows, self.once_rows = (individuals * channels * n for n in (self.n_twice, self.n_once))
        self.first = SeparableHalves(individuals, kinds, channels, stride, matrix_side)
        self.norm = PlaneNorm(self.twice_rows + self.once_rows, self.n_twice + self.n_once)
        self.second = SeparableHalves(individuals, twice, channels, 1, matrix_side) if twice else None
        self.last_norm = PlaneNorm(self.twice_rows, self.n_twice) if twice else None
        self.runs = [moments.runs_of(edges, individuals) for _, edges in kinds]
        edges = tuple(edge for _, edges in kinds for edge in edges)
        self.n_edges, self.edges_twice, self.edges_once = n_edges, edges[: self.n_twice], edges[self.n_twice :]

    def forward(self, activated: Tensor, scale: Tensor, last_scale: Tensor, received: Tensor | None) -> Tensor | None:
        """`received [edge, …]`, or None for nothing, plus the finished branches of each edge.

        `activated` are the states after ReLU, in the type to compute in, rows [state, individual, channel]; `scale` of
        the first halves' norm (1 for branches that run twice), `last_scale` of the second halves'.
        """
        if self.training and self._moments_pay(activated):
            return self._by_moments(activated, scale, last_scale, received)
        normed, onto = self.norm(self.first(activated), scale), (self.edges_once, self.n_edges)
        if self.second is None or self.last_norm is None:
            return plus_blocks(received, *onto, normed)
        if self.n_once:
            twice, received = _TwiceAndOnce.apply(normed, self.twice_rows, received, *onto)
        else:
            twice = F.relu(normed)
        finished = self.last_norm(self.second(twice), last_scale)
        return plus_blocks(received, self.edges_twice, self.n_edges, finished)

    def _moments_pay(self, activated: Tensor) -> bool:
        height, width = (-(-side // self.stride) for side in activated.shape[2:])
        # Where second halves are by matrix, so are first ones that don't stride.
        by_matrix = is_by_matrix(height, width, 1, self.matrix_side)
        return not by_matrix and moments.pays(height, width, self.channels, activated)

    def _by_moments(
        self, activated: Tensor, scale: Tensor, last_scale: Tensor, received: Tensor | None
    ) -> Tensor | None:
        images, matrices = self.first.depthwise_alone(activated), self.first.pointwise.matrices()
        of_edges = self.n_edges, scale.dtype, scale.device
        if self.n_once:
            once = moments.Mixed(images[self.kinds_twice :], matrices[self.branches_twice :], scale[self.twice_rows :])
            receivers = moments.Receivers(routing_of(self.edges_once, *of_edges), self.runs[self.kinds_twice :])
            received = moments.plus_normed(received, once, self.norm, receivers, first=self.twice_rows)
        if self.second is not None and self.last_norm is not None:
            twice = moments.Mixed(images[: self.kinds_twice], matrices[: self.branches_twice], scale[: self.twice_rows])
            halfway = [F.relu(each, inplace=True) for each in moments.normed(twice, self.norm)]
            again = moments.Mixed(self.second.depthwise_each(halfway), self.second.pointwise.matrices(), last_scale)
            receivers = moments.Receivers(routing_of(self.edges_twice, *of_edges), self.runs[: self.kinds_twice])
            received = moments.plus_normed(received, again, self.last_norm, receivers)
        return received


class _TwiceAndOnce(torch.autograd.Function):
    """Of first halves after their norm: those that run twice, after ReLU; what was received plus those that run once.

    The gradients of both are written where the norm wants them, side by side.
    """

    @staticmethod
    def forward(
        context: Any, normed: Tensor, twice_rows: int, received: Tensor | None, edges: Edges, n_edges: int
    ) -> tuple[Tensor, Tensor]:
        twice, once = normed.split([twice_rows, len(normed) - twice_rows])
        activated = F.relu(twice)
        context.save_for_backward(activated)
        context.onto, context.shape = (edges, n_edges), normed.shape
        return activated, plus_blocks(received, edges, n_edges, once)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_activated, of_received = gradients
        (activated,), (edges, n_edges) = context.saved_tensors, context.onto
        to_blocks = routing_of(edges, n_edges, of_received.dtype, of_received.device).t()
        if torch.is_grad_enabled():  # to be differentiated again
            of_once = (to_blocks @ of_received).view(-1, *activated.shape[1:])
            of_normed = torch.cat([of_activated * (activated > 0), of_once])
        else:
            of_normed = of_activated.new_empty(context.shape)
            twice, once = of_normed.split([len(activated), len(of_normed) - len(activated)])
            torch.ops.aten.threshold_backward(of_activated, activated, 0, grad_input=twice)
            torch.mm(to_blocks, of_received, out=once.view(len(edges), -1))
        return of_normed, None, of_received if context.needs_input_grad[2] else None, None, None


class FactoredBranches(nn.Module):
    """The factored convolutions of one kind, by the library on channels-last images; `edges` are of all states."""

    def __init__(
        self, individuals: int, kind: Factored, edges: int, channels: int, stride: int, *, states: int = 1
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.states = stride, kind.kernel // 2, states
        shape, fan_in = (individuals, edges, channels, channels), channels * kind.kernel
        self.wide = nn.Parameter(uniform_weight((*shape, 1, kind.kernel), fan_in=fan_in))
        self.high = nn.Parameter(uniform_weight((*shape, kind.kernel, 1), fan_in=fan_in))
        self.norm = PlaneNorm(individuals * edges * channels, edges)

    def forward(self, activated: Tensor, scale: Tensor) -> Tensor:
        """Rows [state, individual, channel] → [edge, state, individual, channel], times `scale` a row."""
        individuals, edges = self.wide.shape[:2]
        groups = self.states * individuals
        stride, padding, images = self.stride, self.padding, from_planes(activated)
        # All edges of a state read it: one group an individual. What they make of it is their own: one a branch.
        images = F.conv2d(images, self._by_state(self.wide), None, (1, stride), (0, padding), groups=groups)
        images = F.conv2d(
            images, self._by_state(self.high), None, (stride, 1), (padding, 0), groups=individuals * edges
        )
        by_state = to_planes(images).unflatten(0, (self.states, individuals, edges // self.states, -1))
        normed: Tensor = self.norm(by_state.permute(2, 0, 1, 3, 4, 5, 6).flatten(0, 3), scale)
        return normed

    def _by_state(self, weight: Tensor) -> Tensor:
        """[individual, edge · state, …] → [state · individual · edge, …]."""
        parts: Tensor = weight.unflatten(1, (-1, self.states))
        return parts.permute(2, 0, 1, 3, 4, 5, 6).flatten(0, 3)
