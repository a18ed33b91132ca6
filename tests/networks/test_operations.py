"""The table of operations says of each name what the space says, what is built, and whether it has weights."""

from __future__ import annotations

import copy

import pytest
import torch

from medarts_ops.bench.reference import as_plain
from medarts_ops.errors import GenotypeError
from medarts_ops.networks.operations import OPERATION_TABLE, FactorizedReduce, build_operation
from medarts_ops.space.search_space import LEARNABLE, OPERATIONS


def test_the_table_has_the_operations_that_a_space_may_name():
    assert tuple(OPERATION_TABLE) == OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_learnable_operations_are_those_that_have_weights_at_stride_1(name):
    operation = build_operation(name, 4, 1, affine=False)
    assert (name in LEARNABLE) == any(True for _ in operation.parameters())


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_every_operation_keeps_channels_and_rounds_sizes_up(name, stride):
    operation = build_operation(name, 4, stride, affine=True)
    assert operation(torch.randn(2, 4, 9, 6)).shape == (2, 4, -(-9 // stride), 6 // stride)


@pytest.mark.parametrize("side", [40, 48])
def test_a_narrow_reduction_of_a_large_map_trains_as_in_float64(side):
    """Through the convolution's own backward pass a process dies on some CPUs, soon if not at once."""
    torch.manual_seed(0)
    single, images = FactorizedReduce(8, 8, affine=True), torch.randn(4, 8, side, side)
    double = copy.deepcopy(single).double()
    single.to(memory_format=torch.channels_last)
    for _ in range(3):
        seen = []
        for network, type_ in ((single, torch.float32), (double, torch.float64)):
            given = images.to(type_).contiguous(memory_format=torch.channels_last).requires_grad_()
            reduced = network(given)
            gradients = torch.autograd.grad(reduced.square().mean(), [given, network.straight.weight])
            seen.append([reduced.double(), *(gradient.double() for gradient in gradients)])
        for ours, theirs in zip(*seen, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sides", [(8, 6), (7, 9), (1, 1), (2, 5)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_reduction_in_training_equals_strided_convolutions_and_leaves_gradients_in_the_images_layout(sides, layout):
    torch.manual_seed(0)
    ours = FactorizedReduce(6, 5, affine=True).double()
    plain = as_plain(copy.deepcopy(ours))
    images = torch.randn(4, 6, *sides, dtype=torch.float64).contiguous(memory_format=layout)
    seen = []
    for network in (ours, plain):
        given = images.clone().requires_grad_()
        reduced = network(given)
        seen.append([reduced, *torch.autograd.grad(reduced.sin().sum(), [given, *network.parameters()])])
    assert seen[0][1].is_contiguous(memory_format=layout)
    for got, expected in zip(*seen, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-11)
    with torch.no_grad():  # as it is exported and measured
        torch.testing.assert_close(ours(images), seen[0][0].detach())


def test_an_unknown_operation_is_refused_with_what_is_allowed():
    with pytest.raises(GenotypeError, match=r"unknown operation 'sep_conv_9x9': allowed are avg_pool_3x3, .*did you"):
        build_operation("sep_conv_9x9", 4, 1, affine=False)
