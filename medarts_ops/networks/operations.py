"""The candidate operations as torch modules (DARTS, section 3.1 and its `operations.py`), and the table of them all.

Every operation maps [image, channel, height, width] to the same number of channels at
ceil(height / stride) × ceil(width / stride), odd sizes included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from medarts_ops.errors import GenotypeError, unknown_name
from medarts_ops.networks.batch_norm import BatchNorm
from medarts_ops.networks.depthwise import DepthwiseConv2d


class Zero(nn.Module):
    """`none`: zeros at the output's size."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
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
        convolution, norm = nn.Conv2d(in_channels, out_channels, 1, bias=False), BatchNorm(out_channels, affine=affine)
        super().__init__(convolution, norm)
        self.out_channels = out_channels

    def parts(self) -> tuple[nn.Conv2d, BatchNorm]:
        """The convolution and its norm."""
        _, convolution, norm = self
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, BatchNorm)
        return convolution, norm


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
        self.norm = BatchNorm(out_channels, affine=affine)

    def forward(self, images: Tensor) -> Tensor:
        return self.after_relu(F.relu(images))

    def after_relu(self, activated: Tensor) -> Tensor:
        """As `forward`, from images that went through ReLU already."""
        result: Tensor = self.norm(torch.cat(self.halves(activated), dim=1))
        return result

    def halves(self, activated: Tensor) -> tuple[Tensor, Tensor]:
        """Both convolutions' outputs.

        To train, from the pixels that count, half of them: faster (ours). Nor does that meet a fault of torch 2.14 on a
        CPU: of few channels on large maps the backward pass of a strided convolution writes beyond its memory (oneDNN,
        channels-last).
        """
        if not torch.is_grad_enabled():
            return self.strided_halves(activated)
        even, odd = _Phases.apply(activated)
        return F.conv2d(even, self.straight.weight), F.conv2d(odd, self.shifted.weight)

    def strided_halves(self, activated: Tensor) -> tuple[Tensor, Tensor]:
        """The same by strided convolutions, as the original has them."""
        return self.straight(activated), self.shifted(shift_by_a_pixel(activated))


class _Phases(torch.autograd.Function):
    """Pixels at even rows and columns, and at odd ones, by which odd sides are padded with zeros.

    Their gradient is written at once, in the images' own layout, which slices would leave.
    """

    @staticmethod
    def forward(context: Any, images: Tensor) -> tuple[Tensor, Tensor]:
        context.layout = layout_of(images)
        context.shape = images.shape
        height, width = images.shape[2:]
        odd = F.pad(images[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))
        even = images[:, :, ::2, ::2]
        return even.contiguous(memory_format=context.layout), odd.contiguous(memory_format=context.layout)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        even, odd = gradients
        height, width = context.shape[2:]
        like = {"dtype": even.dtype, "device": even.device, "memory_format": context.layout}
        of_images = torch.empty(context.shape, **like).zero_()
        of_images[:, :, ::2, ::2] = even
        of_images[:, :, 1::2, 1::2] = odd[:, :, : height // 2, : width // 2]
        return of_images


def layout_of(images: Tensor) -> torch.memory_format:
    """Channels-last, if [image, channel, height, width] is, or else torch's default."""
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def shift_by_a_pixel(images: Tensor) -> Tensor:
    """Drop the first row and column; pad odd sides so that stride 2 gives the size that it gives unshifted."""
    height, width = images.shape[2:]
    shifted = images[:, :, 1:, 1:]
    if height % 2 or width % 2:
        shifted = F.pad(shifted, (0, width % 2, 0, height % 2))
    return shifted


class Nothing:
    """`none`: zeros. The supernet computes nothing; its weight only takes part in the mixture."""

    def derived(self, channels: int, stride: int, *, affine: bool) -> nn.Module:
        return Zero(stride)


class Skip:
    """`skip_connect`: the identity, which all edges share, or at stride 2 `FactorizedReduce`, one an edge."""

    def derived(self, channels: int, stride: int, *, affine: bool) -> nn.Module:
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)


@dataclass(frozen=True)
class Pool:
    """A pooling, made by `with_stride(stride=…)`. In the supernet a batch norm follows, and all edges share both."""

    with_stride: Callable[..., nn.Module]

    def derived(self, channels: int, stride: int, *, affine: bool) -> nn.Module:
        return self.with_stride(stride=stride)


@dataclass(frozen=True)
class Separable:
    """`sep_conv`: a separable half twice, only the first with the stride; or `dil_conv`: one half with dilation 2."""

    kernel: int
    dilation: int
    twice: bool

    def derived(self, channels: int, stride: int, *, affine: bool) -> nn.Module:
        modules: list[nn.Module] = []
        for each in (stride, 1) if self.twice else (stride,):
            depthwise = DepthwiseConv2d(channels, self.kernel, stride=each, dilation=self.dilation)
            pointwise = nn.Conv2d(channels, channels, 1, bias=False)
            modules += [nn.ReLU(), depthwise, pointwise, BatchNorm(channels, affine=affine)]
        return ReluFirst(*modules[1:])


@dataclass(frozen=True)
class Factored:
    """`conv_7x1_1x7` and its like: a full 1×k, then a full k×1 convolution (NASNet)."""

    kernel: int

    def derived(self, channels: int, stride: int, *, affine: bool) -> nn.Module:
        kernel, side = self.kernel, self.kernel // 2
        return ReluFirst(
            nn.Conv2d(channels, channels, (1, kernel), stride=(1, stride), padding=(0, side), bias=False),
            nn.Conv2d(channels, channels, (kernel, 1), stride=(stride, 1), padding=(side, 0), bias=False),
            BatchNorm(channels, affine=affine),
        )


Operation = Nothing | Skip | Pool | Separable | Factored
"""`derived` builds it alone; by the type `state_edges.py` knows how to compute it for many edges at once."""

OPERATION_TABLE: Mapping[str, Operation] = {
    "none": Nothing(),
    "max_pool_3x3": Pool(partial(nn.MaxPool2d, 3, padding=1)),
    "avg_pool_3x3": Pool(partial(nn.AvgPool2d, 3, padding=1, count_include_pad=False)),
    "skip_connect": Skip(),
    "sep_conv_3x3": Separable(3, dilation=1, twice=True),
    "sep_conv_5x5": Separable(5, dilation=1, twice=True),
    "dil_conv_3x3": Separable(3, dilation=2, twice=False),
    "dil_conv_5x5": Separable(5, dilation=2, twice=False),
    "sep_conv_7x7": Separable(7, dilation=1, twice=True),
    "conv_7x1_1x7": Factored(7),
    "conv_3x1_1x3": Factored(3),
}
"""What each name of `space/search_space.py` means; the only place that says it."""


def build_operation(name: str, channels: int, stride: int, *, affine: bool) -> nn.Module:
    """The bare operation, as a derived network uses it: pools have no batch norm. GenotypeError if there is none."""
    if name not in OPERATION_TABLE:
        raise GenotypeError(unknown_name("operation", name, tuple(OPERATION_TABLE)))
    return OPERATION_TABLE[name].derived(channels, stride, affine=affine)
