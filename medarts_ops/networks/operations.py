"""The candidate operations as torch modules (DARTS, section 3.1 and its `operations.py`).

Every operation maps [image, channel, height, width] to the same number of channels at
ceil(height / stride) × ceil(width / stride), odd sizes included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.errors import GenotypeError, unknown_name
from medarts_ops.networks.depthwise import DepthwiseConv2d
from medarts_ops.space.search_space import OPERATIONS


class Zero(nn.Module):
    """`none`: zeros at the output's size."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Zeros, [image, channel, ceil(height / stride), ceil(width / stride)]."""
        return images[:, :, :: self.stride, :: self.stride] * 0.0


class ReluFirst(nn.Sequential):
    """A ReLU and what follows it. Several that read the same images can share one ReLU and be called after it."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(nn.ReLU(), *modules)

    def after_relu(self, activated: Tensor) -> Tensor:
        """As `forward`, from images that went through ReLU already."""
        for module in list(self)[1:]:
            activated = module(activated)
        return activated


class ReluConvNorm(ReluFirst):
    """ReLU, 1×1 convolution, batch norm: what a cell does first with an input of unchanged size."""

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels, affine=affine)
        )


class FactorizedReduce(nn.Module):
    """Halve the size with two 1×1 convolutions of stride 2, the second one shifted by a pixel.

    DARTS asks for even sizes and channels. Ours: an odd side is padded with one zero row or column for the
    shifted half, and an odd number of channels gives the second half one more.
    """

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.straight = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.shifted = nn.Conv2d(in_channels, out_channels - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, images: Tensor) -> Tensor:
        """[image, channel, height, width] → [image, out channel, ceil(height / 2), ceil(width / 2)]."""
        return self.after_relu(F.relu(images))

    def after_relu(self, activated: Tensor) -> Tensor:
        """As `forward`, from images that went through ReLU already."""
        halves = (self.straight(activated), self.shifted(shift_by_a_pixel(activated)))
        result: Tensor = self.norm(torch.cat(halves, dim=1))
        return result


def shift_by_a_pixel(images: Tensor) -> Tensor:
    """Drop the first row and column; pad odd sides so that stride 2 gives the size that it gives unshifted."""
    height, width = images.shape[2:]
    shifted = images[:, :, 1:, 1:]
    if height % 2 or width % 2:
        shifted = F.pad(shifted, (0, width % 2, 0, height % 2))
    return shifted


def separable_half(channels: int, kernel: int, *, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    """Depthwise convolution, 1×1 convolution, batch norm: a ReLU goes before."""
    depthwise = DepthwiseConv2d(channels, kernel, stride=stride, dilation=dilation)
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return [depthwise, pointwise, nn.BatchNorm2d(channels, affine=affine)]


def separable_convolution(channels: int, kernel: int, *, stride: int, affine: bool) -> ReluFirst:
    """`sep_conv`: the separable half twice; only the first has the stride."""
    return ReluFirst(
        *separable_half(channels, kernel, stride=stride, dilation=1, affine=affine),
        nn.ReLU(),
        *separable_half(channels, kernel, stride=1, dilation=1, affine=affine),
    )


def dilated_convolution(channels: int, kernel: int, *, stride: int, affine: bool) -> ReluFirst:
    """`dil_conv`: one separable half with dilation 2."""
    return ReluFirst(*separable_half(channels, kernel, stride=stride, dilation=2, affine=affine))


def factored_convolution(channels: int, kernel: int, *, stride: int, affine: bool) -> ReluFirst:
    """`conv_7x1_1x7` and its like: a full 1×k, then a full k×1 convolution (NASNet)."""
    side = kernel // 2
    return ReluFirst(
        nn.Conv2d(channels, channels, (1, kernel), stride=(1, stride), padding=(0, side), bias=False),
        nn.Conv2d(channels, channels, (kernel, 1), stride=(stride, 1), padding=(side, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def max_pool(stride: int) -> nn.Module:
    """3×3 maximum."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


def average_pool(stride: int) -> nn.Module:
    """3×3 mean over the pixels inside the image."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


def build_operation(name: str, channels: int, stride: int, *, affine: bool) -> nn.Module:
    """The bare operation `name`, as a derived network uses it: pools have no batch norm.

    Raises:
        GenotypeError: there is no such operation.
    """
    match name:
        case "none":
            return Zero(stride)
        case "skip_connect":
            return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)
        case "max_pool_3x3":
            return max_pool(stride)
        case "avg_pool_3x3":
            return average_pool(stride)
        case "sep_conv_3x3" | "sep_conv_5x5" | "sep_conv_7x7":
            return separable_convolution(channels, int(name[-1]), stride=stride, affine=affine)
        case "dil_conv_3x3" | "dil_conv_5x5":
            return dilated_convolution(channels, int(name[-1]), stride=stride, affine=affine)
        case "conv_7x1_1x7" | "conv_3x1_1x3":
            return factored_convolution(channels, int(name[-1]), stride=stride, affine=affine)
    raise GenotypeError(unknown_name("operation", name, OPERATIONS))
