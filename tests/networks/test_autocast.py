"""Weights that are cast together are what autocast makes of them one by one."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from medarts_ops.bench.launches import count_launches
from medarts_ops.networks.autocast import autocast_type, cast_together, convolution_weights, with_weights_cast
from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype

SIZES = {"cells": 3, "channels": 4, "n_classes": 3, "in_channels": 3, "auxiliary": True}
CPU = torch.device("cpu")


def gradients_of(network: DerivedNetwork, cast: bool) -> tuple[Tensor, list[Tensor | None]]:
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        logits, auxiliary = (
            with_weights_cast(network, convolution_weights(network), images) if cast else network(images)
        )
    (logits.float().square().sum() + auxiliary.float().square().sum()).backward()
    return logits.detach(), [weight.grad for weight in network.parameters()]


EDGES = (("sep_conv_3x3", 0), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("dil_conv_5x5", 1))
READ = zoo_genotype("DARTS_V2")
UNREAD = Genotype(normal=EDGES, normal_concat=(3,), reduce=EDGES, reduce_concat=(3,))
"""Node 2 and the first input have no part in the loss."""


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("genotype", [READ, UNREAD])
def test_a_network_s_logits_and_gradients_are_the_same_bits(genotype, layout):
    network = DerivedNetwork(genotype, **SIZES).to(memory_format=layout).train()
    logits, gradients = gradients_of(deepcopy(network), cast=True)
    expected, theirs = gradients_of(network, cast=False)
    assert torch.equal(logits, expected)
    assert [each is None for each in gradients] == [each is None for each in theirs]
    assert any(each is None for each in gradients) is (genotype == UNREAD)
    for ours, wanted in zip(gradients, theirs, strict=True):
        assert ours is wanted is None or torch.equal(ours, wanted)


def test_casts_of_convolutions_take_one_launch_instead_of_one_each():
    network = DerivedNetwork(READ, **SIZES).train()
    casts = [count_launches(lambda cast=cast: gradients_of(network, cast))["_to_copy"] for cast in (False, True)]
    n_convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert casts[0] > 2 * n_convolutions and casts[1] < n_convolutions / 2


def test_nothing_is_cast_where_autocast_is_off():
    network, images = nn.Sequential(nn.Conv2d(1, 2, 3)), torch.randn(1, 1, 4, 4)
    assert autocast_type(CPU) is None
    assert with_weights_cast(network, convolution_weights(network), images).dtype is torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_type(CPU) is torch.bfloat16
        assert with_weights_cast(nn.Sequential(nn.Identity()), {}, torch.ones(1)).dtype is torch.float32


def test_gradients_come_back_in_the_weights_own_type():
    weights = {name: torch.randn(shape, requires_grad=True) for name, shape in (("a", (2, 3)), ("b", (4,)))}
    cast = cast_together(weights, torch.float64)
    (cast["a"].square().sum() + 3 * cast["b"].sum()).backward()
    torch.testing.assert_close(weights["a"].grad, 2 * weights["a"].detach())
    torch.testing.assert_close(weights["b"].grad, torch.full((4,), 3.0))
