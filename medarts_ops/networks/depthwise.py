"""Depthwise convolution whose backward pass is fast: on a CPU the input's gradient is a convolution forward, too.

The library's forward kernels for depthwise convolutions come near a processor's limit in channels-last memory; its
backward kernels are three to ten times slower. The gradient of the input is a convolution of the gradient with the
kernels turned around, so it is computed by the forward kernels. Exact. A card has kernels for that gradient, which
turn nothing around.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight

from medarts_ops.networks.autocast import in_autocast_type
from medarts_ops.networks.device_kind import on_cpu


def convolve(images: Tensor, weight: Tensor, *, stride: int, dilation: int) -> Tensor:
    """[image, channel, height, width] by odd `weight [channel, kernel, kernel]`, padded to ceil(side / stride)."""
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(images, weight[:, None], None, stride, padding, dilation, groups=len(weight))


def input_gradient(gradient: Tensor, weight: Tensor, size: tuple[int, int], *, stride: int, dilation: int) -> Tensor:
    """What `convolve` passes back to its images, of `size` (height, width), for `gradient` of its output."""
    if not on_cpu(gradient):
        padding = dilation * (weight.shape[-1] // 2)
        beyond = [side - stride * (below - 1) - 1 for side, below in zip(size, gradient.shape[2:], strict=True)]
        return F.conv_transpose2d(
            gradient, weight[:, None], None, stride, padding, beyond, groups=len(weight), dilation=dilation
        )
    if stride > 1:
        # Zeros between the pixels make it the gradient of a convolution with stride 1.
        n, channels = gradient.shape[:2]
        spread = torch.zeros((n, *size, channels), dtype=gradient.dtype, device=gradient.device).permute(0, 3, 1, 2)
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    return convolve(gradient, weight.flip(1, 2), stride=1, dilation=dilation)


def weight_gradient(images: Tensor, gradient: Tensor, kernel: int, *, stride: int, dilation: int) -> Tensor:
    """The gradient of `weight [channel, kernel, kernel]` of `convolve`."""
    channels, padding = images.shape[1], dilation * (kernel // 2)
    size = (channels, 1, kernel, kernel)
    of_weight: Tensor = conv2d_weight(images, size, gradient, stride, padding, dilation, groups=channels)
    return of_weight[:, 0]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        context.save_for_backward(images, weight)
        context.steps = {"stride": stride, "dilation": dilation}
        return convolve(images, weight, stride=stride, dilation=dilation)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        images, weight = context.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        size = (images.shape[2], images.shape[3])
        of_images = of_weight = None
        if context.needs_input_grad[0]:
            of_images = input_gradient(gradient, weight, size, **context.steps)
        if context.needs_input_grad[1]:
            of_weight = weight_gradient(images, gradient, weight.shape[-1], **context.steps)
        return of_images, of_weight, None, None


def depthwise(images: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """`convolve`, as autocast would, with the fast backward pass."""
    convolved: Tensor = _Depthwise.apply(*in_autocast_type(images, weight), stride, dilation)
    return convolved


class DepthwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` with a group a channel and no bias, that trains by the fast backward pass."""

    def __init__(self, channels: int, kernel: int, *, stride: int, dilation: int) -> None:
        super().__init__(
            channels,
            channels,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )

    def forward(self, images: Tensor) -> Tensor:
        """[image, channel, height, width] → [image, channel, ceil(height / stride), ceil(width / stride)]."""
        if not torch.is_grad_enabled():
            # What is exported or only measured is a plain convolution.
            return super().forward(images)
        return depthwise(images, self.weight.squeeze(1), self.stride[0], self.dilation[0])
