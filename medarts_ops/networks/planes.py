"""Layers of the supernet in its own memory layout: planes [channel, image, height, width].

With channels first, what belongs to one edge or one operation is a contiguous block: concatenating and splitting
cost a plain copy or nothing, a 1×1 convolution is a matrix product, and batch norm runs along rows.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


class PlaneNorm(nn.BatchNorm2d):
    """Batch norm of planes without weights of its own; a scale may be given with each call."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, planes: Tensor, scale: Tensor | None = None) -> Tensor:
        """[channel, image, height, width], normalised per channel, times `scale [channel]`."""
        moving = not self.training or self.track_running_stats
        rows = F.batch_norm(
            planes.reshape(1, len(planes), -1),
            self.running_mean if moving else None,
            self.running_var if moving else None,
            weight=scale,
            training=self.training,
            momentum=0.1,
            eps=self.eps,
        )
        return rows.view(planes.shape)


class ChannelMix(nn.Module):
    """A 1×1 convolution in `groups`: `weight [group, out channel, in channel]`, one matrix product."""

    def __init__(self, groups: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(uniform_weight((groups, out_channels, in_channels), fan_in=in_channels))

    def forward(self, planes: Tensor) -> Tensor:
        """[group · in channel, image, height, width] → [group · out channel, image, height, width]."""
        rows = torch.bmm(self.weight, planes.reshape(len(self.weight), self.weight.shape[2], -1))
        return rows.view(-1, *planes.shape[1:])


class ReluMixNorm(nn.Module):
    """`ReluConvNorm` on planes."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.mix = ChannelMix(1, in_channels, out_channels)
        self.norm = PlaneNorm(out_channels)

    def forward(self, planes: Tensor) -> Tensor:
        """ReLU, 1×1 convolution, batch norm."""
        normed: Tensor = self.norm(self.mix(F.relu(planes)))
        return normed


class Reductions(nn.Module):
    """`FactorizedReduce` on planes, on several edges at once: each has its own two halves of channels."""

    def __init__(self, edges: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.edges = edges
        self.straight = ChannelMix(1, in_channels, edges * half)
        self.shifted = ChannelMix(1, in_channels, edges * (out_channels - half))
        self.norm = PlaneNorm(edges * out_channels)

    def forward(self, planes: Tensor, scale: Tensor | None = None) -> Tensor:
        """[channel, image, height, width] → [edge · out channel, image, ceil(height / 2), ceil(width / 2)]."""
        planes = F.relu(planes)
        height, width = planes.shape[2:]
        # As `shift_by_a_pixel`, subsampled: an odd side gets a zero row or column at its end.
        moved = F.pad(planes[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))
        halves = [self.straight(planes[:, :, ::2, ::2].contiguous()), self.shifted(moved)]
        by_edge = torch.cat([half.view(self.edges, -1, *half.shape[1:]) for half in halves], dim=1)
        normed: Tensor = self.norm(by_edge.flatten(0, 1), scale)
        return normed


def uniform_weight(shape: tuple[int, ...], *, fan_in: int) -> Tensor:
    """A fresh weight, distributed as torch's convolutions of that fan-in start (DARTS): uniform in ±1/√fan_in."""
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
