"""Half a separable convolution on planes: depthwise, then 1×1, for many branches at once, by the fastest exact way.

On small maps the depthwise convolution of a plane is one matrix product with the kernel laid out as a pixel × pixel
matrix: more multiplications than needed, and still several times faster than the library's kernels. On larger maps
the library convolves in channels-last memory, and the 1×1 convolution's matrix product brings the result back to
planes on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from medarts_ops.networks.autocast import in_autocast_type
from medarts_ops.networks.depthwise import convolve, input_gradient, weight_gradient
from medarts_ops.networks.device_kind import on_cpu
from medarts_ops.networks.planes import from_planes, to_planes
from medarts_ops.networks.same_weights import from_weights
from medarts_ops.settings import MATRIX_SIDE


def is_by_matrix(height: int, width: int, stride: int, matrix_side: int) -> bool:
    """Whether maps of that size are convolved by matrices with no more entries than those of square ones of that side.

    With stride 2 a matrix has a quarter of the entries.
    """
    return height * width * -(-height // stride) * -(-width // stride) <= matrix_side**4


def separable_half(
    planes: Tensor,
    kernels: Sequence[Tensor],
    dilations: Sequence[int],
    pointwise: Tensor,
    stride: int,
    matrix_side: int = MATRIX_SIDE,
) -> Tensor:
    """Depthwise and 1×1 convolution of every branch; `branch` counts individuals, too.

    Args:
        planes: [branch · channel, image, height, width], or fewer channels that the branches share in turns.
        kernels: of each kind, [branch · channel, kernel, kernel]; the kinds' branches follow each other.
        pointwise: [branch, out channel, channel].
        stride: 1 or 2; what comes back is [branch · out channel, image, ceil(height / stride), ceil(width / stride)].
        matrix_side: side of the largest square maps whose depthwise convolution is a matrix product; 0 for none.
    """
    planes, pointwise, *kernels = in_autocast_type(planes, pointwise, *kernels)
    groups = _alike(_Kernels(planes, kernels, dilations, stride))
    if len(groups) == 1:
        return _half(groups[0], pointwise, matrix_side)
    branches = [sum(len(kernel) for kernel in group.kernels) // pointwise.shape[2] for group in groups]
    own = zip(groups, pointwise.split(branches), strict=True)
    return torch.cat([_half(group, part, matrix_side) for group, part in own])


def depthwise_kinds(
    planes: Tensor, kernels: Sequence[Tensor], dilations: Sequence[int], stride: int
) -> tuple[Tensor, ...]:
    """The depthwise convolutions of `separable_half` alone, by the library.

    Each kind's are channels-last [image, branch · channel, ceil(height / stride), ceil(width / stride)].
    """
    groups = _alike(_Kernels(planes, kernels, dilations, stride))
    return tuple(images for group in groups for images in group.convolved())


class _Kernels(NamedTuple):
    """Depthwise convolutions to be computed: as of `separable_half`."""

    planes: Tensor
    kernels: Sequence[Tensor]
    dilations: Sequence[int]
    stride: int

    def convolved(self) -> tuple[Tensor, ...]:
        """By the library, each kind's channels-last."""
        found: tuple[Tensor, ...] = _Kinds.apply(self.planes, self.stride, tuple(self.dilations), *self.kernels)
        return found


def _alike(all_kinds: _Kernels) -> list[_Kernels]:
    """The same in groups of kinds that are convolved alike.

    At stride 2 every tap of a dilated kernel falls on even rows and columns: it is a plain one on a quarter of the
    pixels. The kinds that dilate come last.
    """
    planes, kernels, dilations, stride = all_kinds
    if stride == 1 or 2 not in dilations:
        return [all_kinds]
    n = dilations.index(2)
    quarter = planes[:, :, ::2, ::2].contiguous()
    dilated = _Kernels(quarter, kernels[n:], [1] * (len(kernels) - n), 1)
    return [_Kernels(planes, kernels[:n], dilations[:n], 2), dilated] if n else [dilated]


def _half(group: _Kernels, pointwise: Tensor, matrix_side: int) -> Tensor:
    """What `separable_half` makes of kinds that are convolved alike."""
    if is_by_matrix(group.planes.shape[2], group.planes.shape[3], group.stride, matrix_side):
        return _by_matrix(*group, pointwise)
    mixed: Tensor = _Mix.apply(pointwise, *group.convolved())
    return mixed


def _by_matrix(
    planes: Tensor, kernels: Sequence[Tensor], dilations: Sequence[int], stride: int, pointwise: Tensor
) -> Tensor:
    rows, n, height, width = planes.shape
    matrices: Tensor = _Matrices.apply((height, width), stride, tuple(dilations), *kernels)
    matrices = matrices.view(len(matrices), height * width, -1)
    planes, turns = planes.reshape(rows, n, height * width), len(matrices) // rows
    if turns > 1 and on_cpu(planes):
        pixels: Tensor = _InTurns.apply(planes, matrices)
    else:
        pixels = torch.bmm(planes.repeat(turns, 1, 1) if turns > 1 else planes, matrices)
    branches, out_channels, channels = pointwise.shape
    mixed = torch.bmm(pointwise, pixels.view(branches, channels, -1))
    return mixed.view(branches * out_channels, n, -(-height // stride), -(-width // stride))


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

    with torch.inference_mode(False):  # it is kept for passes that train
        rows, columns = along(height), along(width)
        both = rows[:, None, :, None, :, None] & columns[None, :, None, :, None, :]
        return both.reshape(kernel * kernel, -1).to(dtype=dtype, device=device)


class _Matrices(torch.autograd.Function):
    """Every kind's kernels as pixel × pixel matrices [channel, pixel · out pixel], written side by side at once."""

    @staticmethod
    def forward(
        context: Any, size: tuple[int, int], stride: int, dilations: tuple[int, ...], *kernels: Tensor
    ) -> Tensor:
        context.shapes = [kernel.shape for kernel in kernels]
        context.places = places = [
            _places(*size, kernel.shape[-1], stride, dilation, kernel.dtype, kernel.device)
            for kernel, dilation in zip(kernels, dilations, strict=True)
        ]

        def side_by_side() -> Tensor:
            sizes = [len(kernel) for kernel in kernels]
            matrices = kernels[0].new_empty(sum(sizes), places[0].shape[1])
            for kernel, place, out in zip(kernels, places, matrices.split(sizes), strict=True):
                torch.mm(kernel.flatten(1), place, out=out)
            return matrices

        return from_weights(("matrices", size, stride, dilations), kernels, side_by_side)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        parts = gradients[0].split([shape[0] for shape in context.shapes])
        of_kernels = [
            (part @ place.t()).view(shape)
            for part, place, shape in zip(parts, context.places, context.shapes, strict=True)
        ]
        return None, None, None, *of_kernels


class _InTurns(torch.autograd.Function):
    """Batched products of `rows [row, n, k]` with `matrices [turn · row, k, m]`, whose turns share the rows.

    A CPU is faster without copies of the rows and the sum of as many gradients (ours).
    """

    @staticmethod
    def forward(context: Any, rows: Tensor, matrices: Tensor) -> Tensor:
        context.save_for_backward(rows, matrices)
        out = rows.new_empty(len(matrices), rows.shape[1], matrices.shape[2])
        for matrix, part in zip(matrices.split(len(rows)), out.split(len(rows)), strict=True):
            torch.bmm(rows, matrix, out=part)
        return out

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrices = context.saved_tensors
        by_turn = list(zip(gradients[0].split(len(rows)), matrices.transpose(1, 2).split(len(rows)), strict=True))
        of_rows = of_matrices = None
        if context.needs_input_grad[0]:
            of_rows = torch.bmm(*by_turn[0])
            for each in by_turn[1:]:
                of_rows.baddbmm_(*each)
        if context.needs_input_grad[1]:
            transposed = rows.transpose(1, 2)
            if torch.is_grad_enabled():  # to be differentiated again
                of_matrices = torch.cat([torch.bmm(transposed, gradient) for gradient, _ in by_turn])
            else:
                of_matrices = torch.empty_like(matrices)
                for (gradient, _), out in zip(by_turn, of_matrices.split(len(rows)), strict=True):
                    torch.bmm(transposed, gradient, out=out)
        return of_rows, of_matrices


class _Kinds(torch.autograd.Function):
    """The library's depthwise convolution of every kind, in channels-last memory."""

    @staticmethod
    def forward(
        context: Any, planes: Tensor, stride: int, dilations: tuple[int, ...], *kernels: Tensor
    ) -> tuple[Tensor, ...]:
        inputs = _images_of_kinds(planes, kernels)
        context.save_for_backward(*kernels, *(inputs if any(context.needs_input_grad[3:]) else ()))
        context.stride, context.dilations, context.shape = stride, dilations, planes.shape
        return tuple(
            convolve(images, kernel, stride=stride, dilation=dilation)
            for images, kernel, dilation in zip(inputs, kernels, dilations, strict=True)
        )

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        stride, n_kinds = context.stride, len(context.dilations)
        kernels, inputs = context.saved_tensors[:n_kinds], context.saved_tensors[n_kinds:]
        by_kind = list(zip(gradients, kernels, context.dilations, strict=True))
        of_planes: Tensor | None = None
        of_kernels: list[Tensor | None] = [None] * n_kinds
        if inputs:
            of_kernels = [
                weight_gradient(images, gradient, kernel.shape[-1], stride=stride, dilation=dilation)
                for images, (gradient, kernel, dilation) in zip(inputs, by_kind, strict=True)
            ]
        if context.needs_input_grad[0]:
            size = (context.shape[2], context.shape[3])
            of_inputs = [
                input_gradient(gradient, kernel, size, stride=stride, dilation=dilation)
                for gradient, kernel, dilation in by_kind
            ]
            of_planes = _gradient_of_planes(of_inputs, context.shape)
        return of_planes, None, None, *of_kernels


class _Mix(torch.autograd.Function):
    """The 1×1 convolutions of channels-last images of every kind, whose matrix products write planes."""

    @staticmethod
    def forward(context: Any, pointwise: Tensor, *images: Tensor) -> Tensor:
        context.save_for_backward(pointwise, *images)
        n, _, height, width = images[0].shape
        branches, out_channels, channels = pointwise.shape
        mixed = images[0].new_empty(branches, out_channels, n * height * width)
        blocks = [as_matrices(each, channels) for each in images]
        sizes = [len(block) for block in blocks]
        for block, weight, out in zip(blocks, pointwise.split(sizes), mixed.split(sizes), strict=True):
            torch.bmm(weight, block, out=out)
        return mixed.view(branches * out_channels, n, height, width)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        pointwise, *images = context.saved_tensors
        blocks = [as_matrices(each, pointwise.shape[2]) for each in images]
        sizes = [len(block) for block in blocks]
        of_mixed = gradients[0].reshape(len(pointwise), pointwise.shape[1], -1).split(sizes)
        of_pointwise = None
        if context.needs_input_grad[0]:
            products = zip(of_mixed, blocks, strict=True)
            of_pointwise = torch.cat([torch.bmm(gradient, block.transpose(1, 2)) for gradient, block in products])
        of_images = []
        for gradient, weight, like in zip(of_mixed, pointwise.split(sizes), images, strict=True):
            of_image = channels_last_like(like)
            torch.bmm(gradient.transpose(1, 2), weight, out=as_matrices(of_image, weight.shape[2]).transpose(1, 2))
            of_images.append(of_image)
        return of_pointwise, *of_images


def _images_of_kinds(planes: Tensor, kernels: Sequence[Tensor]) -> list[Tensor]:
    """What each kind convolves, [image, branch · channel, height, width]: its own planes, or shared ones repeated."""
    sizes = [len(kernel) for kernel in kernels]
    if sum(sizes) == len(planes):
        return [from_planes(part) for part in planes.split(sizes)]
    shared = from_planes(planes).permute(0, 2, 3, 1)
    repeated = {size: shared.repeat(1, 1, 1, size // len(planes)).permute(0, 3, 1, 2) for size in set(sizes)}
    return [repeated[size] for size in sizes]


def _gradient_of_planes(of_inputs: Sequence[Tensor], shape: torch.Size) -> Tensor:
    """The way back from what `_images_of_kinds` gave."""
    rows = shape[0]
    if sum(images.shape[1] for images in of_inputs) == rows:
        return torch.cat([to_planes(images) for images in of_inputs])
    sums = (images.permute(0, 2, 3, 1).unflatten(3, (-1, rows)).sum(3) for images in of_inputs)
    total = reduce(Tensor.add_, sums)
    return to_planes(total.permute(0, 3, 1, 2))


def as_matrices(images: Tensor, channels: int) -> Tensor:
    """Channels-last [image, branch · channel, height, width] seen as [branch, channel, image · height · width]."""
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1] // channels, channels).permute(1, 2, 0)


def channels_last_like(images: Tensor) -> Tensor:
    """Reserved memory for as many images, [image, channel, height, width]."""
    return torch.empty_like(images, memory_format=torch.channels_last)
