"""DepthwiseConv2d is an `nn.Conv2d` in all that can be seen: outputs, gradients, types, state."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medarts_ops.bench.reference import as_plain
from medarts_ops.networks import depthwise
from medarts_ops.networks.depthwise import DepthwiseConv2d
from medarts_ops.networks.operations import build_operation


def results(convolution: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Output, input gradient and weight gradient for a fixed gradient of the output."""
    images = images.clone().requires_grad_()
    output = convolution(images)
    seed = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(output.dtype)
    return output, *torch.autograd.grad(output, [images, *convolution.parameters()], seed)


@pytest.mark.parametrize("size", [(16, 16), (9, 7), (33, 33), (1, 1)])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_output_and_gradients_equal_the_library(size, kernel, stride, dilation):
    ours = nn.Sequential(DepthwiseConv2d(4, kernel, stride=stride, dilation=dilation)).double()
    padding = dilation * (kernel // 2)
    plain = nn.Conv2d(4, 4, kernel, stride=stride, padding=padding, dilation=dilation, groups=4, bias=False).double()
    plain.load_state_dict(ours[0].state_dict())
    images = torch.randn(3, 4, *size, dtype=torch.float64)
    for layout in (torch.contiguous_format, torch.channels_last):
        laid_out = images.contiguous(memory_format=layout)
        for got, expected in zip(results(ours, laid_out), results(plain, laid_out), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_autocast_computes_in_bf16_and_gives_the_weight_a_float32_gradient():
    convolution = DepthwiseConv2d(4, 3, stride=1, dilation=1)
    images = torch.randn(2, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = convolution(images)
    output.float().sum().backward()
    assert output.dtype == torch.bfloat16
    assert convolution.weight.grad.dtype == images.grad.dtype == torch.float32
    expected = torch.nn.functional.conv2d(images, convolution.weight, padding=1, groups=4)
    torch.testing.assert_close(output.float(), expected, rtol=0.02, atol=0.02)


def test_without_gradients_it_is_a_plain_convolution(monkeypatch):
    convolution = DepthwiseConv2d(4, 3, stride=2, dilation=1)
    images = torch.randn(2, 4, 8, 8)
    with_gradients = convolution(images)
    monkeypatch.setattr(depthwise, "_Depthwise", None)
    with torch.no_grad():
        plain = convolution(images)
    assert with_gradients.requires_grad and not plain.requires_grad
    torch.testing.assert_close(plain, with_gradients)


def test_only_the_gradients_that_are_asked_for_are_computed(monkeypatch):
    convolution = DepthwiseConv2d(4, 3, stride=1, dilation=1).requires_grad_(False)
    images = torch.randn(2, 4, 8, 8, requires_grad=True)
    monkeypatch.setattr(depthwise, "weight_gradient", None)
    convolution(images).sum().backward()
    assert images.grad is not None and convolution.weight.grad is None


def test_plain_convolutions_share_the_weights_and_draw_no_random_numbers():
    network = build_operation("sep_conv_5x5", 4, 2, affine=True)
    weights, state = dict(network.named_parameters()), torch.random.get_rng_state()
    images = torch.randn(2, 4, 9, 9)
    expected = network(images)
    torch.random.set_rng_state(state)
    plain = as_plain(network)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(isinstance(module, DepthwiseConv2d) for module in plain.modules())
    assert list(plain.state_dict()) == list(network.state_dict())
    assert all(weights[name] is parameter for name, parameter in plain.named_parameters())
    torch.testing.assert_close(plain(images), expected)
