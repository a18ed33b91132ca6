"""Separable convolutions of a cell as one, where they are of one kind and what they read is there at once. Exact.

Ours, for cards, on which each launch takes its time. Inputs lie side by side in channels-last memory: one depthwise
convolution, one batched matrix product for the 1×1 convolutions, one norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from medarts_ops.networks.autocast import in_autocast_type
from medarts_ops.networks.batch_norm import BatchNorm
from medarts_ops.networks.depthwise import DepthwiseConv2d, depthwise
from medarts_ops.networks.operations import OPERATION_TABLE, Separable
from medarts_ops.networks.separable import as_matrices, channels_last_like
from medarts_ops.networks.side_by_side import Group, Joint
from medarts_ops.space.search_space import N_INPUTS


class PathsTogether:
    """Some operations of a cell, all of one separable kind and one stride.

    Attributes:
        positions: which of the cell's they are.
        groups: the modules of each half of theirs, to be put side by side.
    """

    def __init__(self, positions: Sequence[int], sources: Sequence[int], operations: Sequence[nn.Module]) -> None:
        self.positions, self._sources = positions, sources
        halves = [_halves(operation) for operation in operations]
        self._like = [half[0] for half in halves[0]]
        self.groups = [
            Group((*(each[0] for each in half), *(each[1] for each in half)), tuple(each[2] for each in half))
            for half in zip(*halves, strict=True)
        ]

    def __call__(self, states: Sequence[Tensor], joints: Mapping[Group, Joint]) -> tuple[Tensor, ...]:
        """What each operation makes of its state, [image, channel, height, width]; `joints` has those of `groups`."""
        images = torch.cat([states[source] for source in self._sources], dim=1)
        n = len(self.positions)
        for like, group in zip(self._like, self.groups, strict=True):
            joint = joints[group]
            channels, kernel = like.in_channels, like.kernel_size[0]
            kernels, matrices = joint.weight.split([n * channels * kernel**2, n * channels**2])
            images = F.relu(images, inplace=True)
            convolved = depthwise(images, kernels.view(-1, kernel, kernel), like.stride[0], like.dilation[0])
            images = joint.normed(_mixed(convolved, matrices.view(n, channels, channels)))
        return images.chunk(n, dim=1)


def paths_together(paths: Sequence[tuple[str, int]], operations: Sequence[nn.Module]) -> list[PathsTogether]:
    """The operations of a cell that run as one, two or more each, of its `paths` (operation, source)."""
    alike: dict[object, list[int]] = {}
    for position, (name, source) in enumerate(paths):
        if isinstance(OPERATION_TABLE[name], Separable):
            # Both inputs are there from the beginning, each node after the one before.
            alike.setdefault((name, max(source, N_INPUTS - 1)), []).append(position)
    return [
        PathsTogether(found, [paths[each][1] for each in found], [operations[each] for each in found])
        for found in alike.values()
        if len(found) > 1
    ]


def _halves(operation: nn.Module) -> list[tuple[DepthwiseConv2d, nn.Conv2d, BatchNorm]]:
    found = [module for module in operation.children() if not isinstance(module, nn.ReLU)]
    return list(zip(found[::3], found[1::3], found[2::3], strict=True))  # type: ignore[arg-type]


def _mixed(images: Tensor, weight: Tensor) -> Tensor:
    """1×1 convolutions: [image, branch · channel, height, width] by `weight [branch, channel, channel]`."""
    mixed: Tensor = _Mix.apply(*in_autocast_type(images, weight))
    return mixed


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor) -> Tensor:
        context.save_for_backward(images, weight)
        return _product(weight, images)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        images, weight = context.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        channels = weight.shape[1]
        of_weight = torch.bmm(as_matrices(gradient, channels), as_matrices(images, channels).transpose(1, 2))
        return _product(weight.transpose(1, 2), gradient), of_weight


def _product(weight: Tensor, images: Tensor) -> Tensor:
    mixed, channels = channels_last_like(images), weight.shape[1]
    torch.bmm(weight, as_matrices(images, channels), out=as_matrices(mixed, channels))
    return mixed
