"""Depthwise convolution of planes, by the way that is fastest on the map at hand. All ways are exact.

On the small maps of a search network the library's depthwise kernels reach a few percent of a processor's speed
(dilated and 5×5 backward passes least). There the convolution of a plane is one matrix product with the kernel
laid out as a pixel × pixel matrix; it costs more multiplications, and is up to fifty times faster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.networks.planes import from_planes, to_planes

MATRIX_PIXELS = 8 * 8 * 8 * 8
"""Largest input pixels × output pixels for which the matrix wins (measured on a CPU: 8×8 to 8×8)."""


def depthwise(planes: Tensor, weight: Tensor, *, stride: int, dilation: int, copies: int) -> Tensor:
    """Convolve `copies` of the same planes with their own kernels, padded to keep the size.

    Args:
        planes: [channel, image, height, width].
        weight: [copy · channel, kernel, kernel].
        stride: 1 or 2; the output has ceil(side / stride).
        dilation: 1 or 2.
        copies: how many sets of kernels read the planes.

    Returns:
        [copy · channel, image, out height, out width].
    """
    if dilation == stride == 2:
        # Every tap falls on even rows and columns: a plain convolution of those.
        return depthwise(planes[:, :, ::2, ::2].contiguous(), weight, stride=1, dilation=1, copies=copies)
    height, width = planes.shape[2:]
    out_pixels = -(-height // stride) * -(-width // stride)
    if height * width * out_pixels <= MATRIX_PIXELS * (4 if stride == 2 else 1):
        return _by_matrix(planes.repeat(copies, 1, 1, 1), weight, stride, dilation)
    if dilation == 2 and height % 2 == width % 2 == 0 and (height * width // 4) ** 2 <= MATRIX_PIXELS:
        return _by_phases(planes, weight, copies)
    return _by_library(planes, weight, stride, dilation, copies)


def _by_matrix(planes: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    channels, n, height, width = planes.shape
    places = _places(height, width, weight.shape[-1], stride, dilation, weight.dtype, weight.device)
    matrix = (weight.flatten(1) @ places).view(channels, height * width, -1)
    pixels = torch.bmm(planes.reshape(channels, n, height * width), matrix)
    return pixels.view(channels, n, -(-height // stride), -(-width // stride))


@lru_cache(maxsize=128)
def _places(
    height: int, width: int, kernel: int, stride: int, dilation: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Where each tap of a kernel lies: 0 or 1, [tap, pixel · out pixel]."""

    def along(side: int) -> Tensor:
        tap = torch.arange(kernel)[:, None, None]
        pixel = torch.arange(side)[None, :, None]
        out = torch.arange(-(-side // stride))[None, None, :]
        return pixel == out * stride + (tap - kernel // 2) * dilation

    rows, columns = along(height), along(width)
    both = rows[:, None, :, None, :, None] & columns[None, :, None, :, None, :]
    return both.reshape(kernel * kernel, -1).to(dtype=dtype, device=device)


class _Permute(torch.autograd.Function):
    """Reorder the columns of a matrix; torch's own gradient of `index_select` adds them one by one."""

    @staticmethod
    def forward(context: Any, matrix: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        context.save_for_backward(order, inverse)
        return matrix.index_select(1, order)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = context.saved_tensors
        return _Permute.apply(gradients[0], inverse, order), None, None


@lru_cache(maxsize=128)
def _phase_order(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The pixels of a map ordered by parity of row and column, and the way back."""
    pixels = torch.arange(height * width).view(height // 2, 2, width // 2, 2)
    order = pixels.permute(1, 3, 0, 2).reshape(-1)
    return order.to(device), torch.argsort(order).to(device)


def _by_phases(planes: Tensor, weight: Tensor, copies: int) -> Tensor:
    """Dilation 2 at stride 1: the even and odd rows and columns of a map are four images that never mix."""
    channels, n, height, width = planes.shape
    order, inverse = _phase_order(height, width, planes.device)
    phases: Tensor = _Permute.apply(planes.reshape(channels * n, -1), order, inverse)
    phases = phases.view(channels, 4 * n, height // 2, width // 2).repeat(copies, 1, 1, 1)
    convolved = _by_matrix(phases, weight, stride=1, dilation=1)
    whole: Tensor = _Permute.apply(convolved.view(-1, height * width), inverse, order)
    return whole.view(copies * channels, n, height, width)


def _by_library(planes: Tensor, weight: Tensor, stride: int, dilation: int, copies: int) -> Tensor:
    images = from_planes(planes).repeat(1, copies, 1, 1)
    padding = dilation * (weight.shape[-1] // 2)
    return to_planes(
        F.conv2d(images, weight[:, None], stride=stride, padding=padding, dilation=dilation, groups=len(weight))
    )
