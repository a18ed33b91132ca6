"""Every way of a separable half equals the library's convolutions, one branch at a time."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.networks import separable
from medarts_ops.networks.device_kind import as_on_a_card
from medarts_ops.networks.planes import diagonal_phases, from_planes, to_planes
from medarts_ops.networks.separable import separable_half

SIZES = [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1), (9, 7), (17, 16), (33, 33)]
KINDS = ((3, 1), (5, 1), (3, 2), (5, 2))
CHANNELS, BRANCHES = 3, 2


def by_hand(planes: Tensor, kernels: list[Tensor], pointwise: Tensor, stride: int) -> Tensor:
    """Branch after branch, on [image, channel, height, width]."""
    shared = len(planes) == CHANNELS
    parts: list[Tensor] = []
    for number, (weight, (kernel, dilation)) in enumerate(zip(kernels, KINDS, strict=False)):
        for branch in range(BRANCHES):
            place = number * BRANCHES + branch
            own = planes if shared else planes[place * CHANNELS : (place + 1) * CHANNELS]
            depthwise = F.conv2d(
                own.transpose(0, 1),
                weight[branch * CHANNELS : (branch + 1) * CHANNELS, None],
                stride=stride,
                padding=dilation * (kernel // 2),
                dilation=dilation,
                groups=CHANNELS,
            )
            parts.append(F.conv2d(depthwise, pointwise[place][:, :, None, None]).transpose(0, 1))
    return torch.cat(parts)


# Second halves have planes of their own; they neither stride nor dilate.
CASES = [(True, stride, kinds) for stride in (1, 2) for kinds in (2, 4)] + [(False, 1, 2), (False, 1, 4)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("shared", "stride", "kinds"), CASES)
@pytest.mark.parametrize(("device_kind", "matrix_side"), [(nullcontext, 8), (as_on_a_card, 8), (nullcontext, 0)])
def test_outputs_and_gradients_equal_the_library(size, stride, shared, kinds, device_kind, matrix_side):
    torch.manual_seed(0)
    branches = kinds * BRANCHES
    rows = CHANNELS if shared else branches * CHANNELS
    planes = torch.randn(rows, 2, *size, dtype=torch.float64, requires_grad=True)
    kernels = [torch.randn(BRANCHES * CHANNELS, k, k, dtype=torch.float64).requires_grad_() for k, _ in KINDS[:kinds]]
    pointwise = torch.randn(branches, CHANNELS, CHANNELS, dtype=torch.float64, requires_grad=True)
    ours = separable_half(planes, kernels, [dilation for _, dilation in KINDS[:kinds]], pointwise, stride, matrix_side)
    expected = by_hand(planes, kernels, pointwise, stride)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-11)
    seed = torch.randn_like(expected)
    inputs = (planes, pointwise, *kernels)
    with device_kind():
        gradients = torch.autograd.grad(ours, inputs, seed)
    for got, wanted in zip(gradients, torch.autograd.grad(expected, inputs, seed), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "stride", "matrix_side", "by_matrix"),
    [
        ((8, 8), 1, 8, True),
        ((16, 16), 1, 8, False),
        ((16, 16), 1, 16, True),
        ((17, 16), 1, 16, False),
        ((4, 16), 1, 8, True),
        ((16, 16), 2, 8, False),
        ((16, 16), 2, 12, True),
        ((1, 1), 1, 0, False),
    ],
)
def test_small_maps_are_matrix_products_and_large_ones_the_librarys(monkeypatch, size, stride, matrix_side, by_matrix):
    taken = []
    original = separable._by_matrix
    monkeypatch.setattr(separable, "_by_matrix", lambda *arguments: taken.append(1) or original(*arguments))
    separable_half(
        torch.randn(2, 1, *size), [torch.randn(2, 3, 3)], [1], torch.randn(1, 2, 2), stride, matrix_side=matrix_side
    )
    assert bool(taken) is by_matrix


@pytest.mark.parametrize("side", [8, 16])
def test_without_weight_gradients_only_the_planes_get_one(side):
    planes = torch.randn(2, 1, side, side, requires_grad=True)
    kernel, pointwise = torch.randn(2, 3, 3), torch.randn(1, 2, 2)
    out = separable_half(planes, [kernel], [1], pointwise, stride=1)
    (gradient,) = torch.autograd.grad(out.sum(), planes)
    assert gradient.shape == planes.shape and kernel.grad is None


def test_gradients_of_small_maps_can_be_differentiated_again():
    planes = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    pointwise = torch.randn(1, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(
        lambda k: separable_half(planes, [k], [1], pointwise, stride=1).square().sum(), kernel
    )


def test_planes_and_images_are_the_same_pixels():
    images = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    planes = to_planes(images)
    assert torch.equal(planes, images.transpose(0, 1)) and planes.is_contiguous()
    assert torch.equal(from_planes(planes), images)
    assert from_planes(planes).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 4), (7, 7), (1, 1)])
def test_diagonal_phases_are_the_even_and_the_odd_pixels(height, width):
    planes = torch.randn(2, 3, height, width)
    first, last = diagonal_phases(planes).chunk(2)
    assert torch.equal(first, planes[:, :, ::2, ::2])
    padded = F.pad(planes, (0, width % 2, 0, height % 2))
    assert torch.equal(last, padded[:, :, 1::2, 1::2])
