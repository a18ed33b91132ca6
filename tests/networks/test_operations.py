"""The table of operations says of each name what the space says, what is built, and whether it has weights."""

from __future__ import annotations

import pytest
import torch

from medarts_ops.errors import GenotypeError
from medarts_ops.networks.operations import OPERATION_TABLE, build_operation
from medarts_ops.space.search_space import OPERATIONS


def test_the_table_has_the_operations_that_a_space_may_name():
    assert tuple(OPERATION_TABLE) == OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_with_parameters_are_those_that_have_some_at_stride_1(name):
    operation = build_operation(name, 4, 1, affine=False)
    assert OPERATION_TABLE[name].has_parameters == any(True for _ in operation.parameters())


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_every_operation_keeps_channels_and_rounds_sizes_up(name, stride):
    operation = build_operation(name, 4, stride, affine=True)
    assert operation(torch.randn(2, 4, 9, 6)).shape == (2, 4, -(-9 // stride), 6 // stride)


def test_an_unknown_operation_is_refused_with_what_is_allowed():
    with pytest.raises(GenotypeError, match=r"unknown operation 'sep_conv_9x9': allowed are avg_pool_3x3, .*did you"):
        build_operation("sep_conv_9x9", 4, 1, affine=False)
