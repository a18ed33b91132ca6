"""The convolutions of all edges that leave a state, kind by kind: a branch is one (operation, edge).

Convolutions of one kind run as one call over concatenated channels, and the 1×1 convolutions and batch norms of all
separable kinds as one each. The mixture's weights are the scales of the last batch norms. Constructors take how many
individuals are stacked, the kinds with their numbers of branches, and each branch's channels and stride.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.networks.operations import Factored, Separable
from medarts_ops.networks.planes import ChannelMix, PlaneNorm, by_block, from_planes, to_planes, uniform_weight
from medarts_ops.networks.separable import separable_half


class SeparableHalves(nn.Module):
    """Depthwise and 1×1 convolution of all branches."""

    def __init__(self, individuals: int, kinds: list[tuple[Separable, int]], channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.dilations = stride, [kind.dilation for kind, _ in kinds]
        shapes = [(individuals, count, channels, kind.kernel, kind.kernel) for kind, count in kinds]
        self.depthwise = nn.ParameterList(nn.Parameter(uniform_weight(each, fan_in=each[-1] ** 2)) for each in shapes)
        self.pointwise = ChannelMix(individuals, sum(count for _, count in kinds), channels, channels)

    def forward(self, activated: Tensor) -> Tensor:
        """Rows [individual, channel], or [branch, individual, channel] → [branch, individual, channel]."""
        kernels = [by_block(weight).flatten(0, 1) for weight in self.depthwise]
        return separable_half(activated, kernels, self.dilations, self.pointwise.matrices(), self.stride)


class SeparableBranches(nn.Module):
    """The separable and dilated convolutions of a state's edges."""

    def __init__(self, individuals: int, kinds: list[tuple[Separable, int]], channels: int, stride: int) -> None:
        super().__init__()
        twice = [(kind, count) for kind, count in kinds if kind.twice]
        rows, n_twice = individuals * channels, sum(count for _, count in twice)
        n_once = sum(count for kind, count in kinds if not kind.twice)
        self.twice_rows, self.once_rows = rows * n_twice, rows * n_once
        self.first = SeparableHalves(individuals, kinds, channels, stride)
        self.norm = PlaneNorm(self.twice_rows + self.once_rows, n_twice + n_once)
        self.second = SeparableHalves(individuals, twice, channels, 1) if twice else None
        self.last_norm = PlaneNorm(self.twice_rows, n_twice) if twice else None

    def forward(self, activated: Tensor, scale: Tensor, last_scale: Tensor) -> list[Tensor]:
        """Finished branches, rows [branch, individual, channel]: those that run twice, then those that run once.

        `activated` is the state after ReLU, rows [individual, channel]; `scale` of the first halves' norm (1 for
        branches that run twice), `last_scale` of the second halves'.
        """
        twice, once = self.norm(self.first(activated), scale).split([self.twice_rows, self.once_rows])
        finished = []
        if self.second is not None and self.last_norm is not None:
            finished.append(self.last_norm(self.second(F.relu(twice)), last_scale))
        if self.once_rows:
            finished.append(once)
        return finished


class FactoredBranches(nn.Module):
    """The factored convolutions of one kind, by the library on channels-last images."""

    def __init__(self, individuals: int, kind: Factored, edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, kind.kernel // 2
        shape, fan_in = (individuals, edges, channels, channels), channels * kind.kernel
        self.wide = nn.Parameter(uniform_weight((*shape, 1, kind.kernel), fan_in=fan_in))
        self.high = nn.Parameter(uniform_weight((*shape, kind.kernel, 1), fan_in=fan_in))
        self.norm = PlaneNorm(individuals * edges * channels, edges)

    def forward(self, activated: Tensor, scale: Tensor) -> Tensor:
        """The state after ReLU, rows [individual, channel] → [edge, individual, channel], times `scale` a row."""
        individuals, edges = self.wide.shape[:2]
        stride, padding, images = self.stride, self.padding, from_planes(activated)
        # All edges read the state: one group an individual. What they make of it is their own: one a branch.
        images = F.conv2d(images, self.wide.flatten(0, 2), None, (1, stride), (0, padding), groups=individuals)
        images = F.conv2d(images, self.high.flatten(0, 2), None, (stride, 1), (padding, 0), groups=individuals * edges)
        planes = to_planes(images).unflatten(0, (individuals, edges, -1)).transpose(0, 1).flatten(0, 2)
        normed: Tensor = self.norm(planes, scale)
        return normed
