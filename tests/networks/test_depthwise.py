"""Every way of depthwise convolution equals the library's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from medarts_ops.networks import depthwise as ways
from medarts_ops.networks.planes import from_planes, to_planes

SIZES = [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1), (9, 7), (17, 16), (33, 33)]


def by_hand(planes: torch.Tensor, weight: torch.Tensor, stride: int, dilation: int, copies: int) -> torch.Tensor:
    images = planes.transpose(0, 1).repeat(1, copies, 1, 1)
    padding = dilation * (weight.shape[-1] // 2)
    out = F.conv2d(images, weight[:, None], stride=stride, padding=padding, dilation=dilation, groups=len(weight))
    return out.transpose(0, 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_convolution_and_gradients_equal_the_library(size, stride, dilation, kernel):
    torch.manual_seed(0)
    planes = torch.randn(3, 2, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, kernel, kernel, dtype=torch.float64, requires_grad=True)
    ours = ways.depthwise(planes, weight, stride=stride, dilation=dilation, copies=2)
    expected = by_hand(planes, weight, stride, dilation, 2)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)
    seed = torch.randn_like(expected)
    for got, wanted in zip(
        torch.autograd.grad(ours, (planes, weight), seed),
        torch.autograd.grad(expected, (planes, weight), seed),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "size", "dilation"), [("_by_matrix", 8, 1), ("_by_phases", 16, 2), ("_by_library", 16, 1)]
)
def test_each_way_is_taken_on_the_maps_that_it_is_for(monkeypatch, name, size, dilation):
    taken = []
    original = getattr(ways, name)
    monkeypatch.setattr(ways, name, lambda *arguments, **named: taken.append(name) or original(*arguments, **named))
    ways.depthwise(torch.randn(2, 1, size, size), torch.randn(2, 3, 3), stride=1, dilation=dilation, copies=1)
    assert taken[0] == name


def test_its_gradients_can_be_differentiated_again():
    planes = torch.randn(2, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    for dilation in (1, 2):
        assert torch.autograd.gradgradcheck(
            lambda w, d=dilation: ways.depthwise(planes, w, stride=1, dilation=d, copies=1).square().sum(), weight
        )


def test_planes_and_images_are_the_same_pixels():
    images = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    planes = to_planes(images)
    assert torch.equal(planes, images.transpose(0, 1)) and planes.is_contiguous()
    assert torch.equal(from_planes(planes), images)
    assert from_planes(planes).is_contiguous(memory_format=torch.channels_last)
