"""What both passes of a step compute from weights is computed once, and never from others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medarts_ops.networks.autocast import cast_together
from medarts_ops.networks.block_order import in_block_order
from medarts_ops.networks.same_weights import first_pass, from_weights, same_weights
from medarts_ops.networks.separable import separable_half


class Doubled:
    """Twice a weight, counting how often it is computed."""

    def __init__(self) -> None:
        self.times = 0

    def of(self, weight: Tensor, what: str = "doubled") -> Tensor:
        def compute() -> Tensor:
            self.times += 1
            return 2 * weight

        return from_weights(what, [weight], compute)


def test_the_second_pass_takes_what_the_first_one_computed_and_the_third_computes_anew():
    doubled, weight = Doubled(), torch.randn(3)
    with same_weights():
        with first_pass():
            first = doubled.of(weight)
        assert torch.equal(doubled.of(weight), first) and doubled.times == 1
        assert torch.equal(doubled.of(weight), first) and doubled.times == 2


def test_a_step_of_two_first_passes_keeps_nothing():
    doubled, weight = Doubled(), torch.randn(3)
    with same_weights():
        with first_pass():
            doubled.of(weight)
        weight.data.add_(1)  # unseen by autograd
        for _ in range(2):
            with first_pass():
                assert torch.equal(doubled.of(weight), 2 * weight)
        assert torch.equal(doubled.of(weight), 2 * weight) and doubled.times == 4


@pytest.mark.parametrize(
    "second", ["changed in place", "another weight", "another shape", "other strides", "something else"]
)
def test_what_is_of_other_weights_is_computed_anew(second):
    doubled, weight = Doubled(), torch.randn(2, 2)
    with same_weights():
        with first_pass():
            doubled.of(weight)
        other, what = weight, "doubled"
        if second == "changed in place":
            weight.add_(1)
        elif second == "another weight":
            other = weight.clone()
        elif second == "another shape":
            other = weight.view(4)
        elif second == "other strides":
            other = weight.t()
        else:
            what = "something else"
        assert torch.equal(doubled.of(other, what), 2 * other) and doubled.times == 2


def test_nothing_is_kept_without_a_first_pass_or_beyond_a_step():
    doubled, weight = Doubled(), torch.randn(3)
    with first_pass():
        doubled.of(weight)
    with same_weights():
        doubled.of(weight)
        doubled.of(weight)
        with first_pass():
            doubled.of(weight)
    with same_weights():
        doubled.of(weight)
    assert doubled.times == 5


def test_memory_that_a_weight_had_is_given_to_no_other_while_it_is_known_by_it():
    with same_weights():
        with first_pass():
            weight = torch.zeros(1000)
            from_weights("sum", [weight], weight.sum)
            del weight
        for _ in range(20):  # an allocator gives back what was freed last
            other = torch.ones(1000)
            assert from_weights("sum", [other], other.sum) == 1000
            del other


def test_gradients_of_the_second_pass_reach_the_weights():
    kernel = torch.randn(1, 2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    pointwise, planes = torch.randn(2, 3, 3, dtype=torch.float64), torch.randn(3, 2, 4, 4, dtype=torch.float64)

    def loss() -> Tensor:
        (ordered,) = in_block_order({"kernel": kernel}).values()
        (cast,) = cast_together({"kernel": ordered}, torch.float64).values()
        return separable_half(planes, [cast.flatten(0, 2)], [1], pointwise, stride=1).square().sum()

    (expected,) = torch.autograd.grad(loss(), kernel)
    with same_weights():
        with first_pass():
            kernel.requires_grad_(False)
            value = loss()
            kernel.requires_grad_(True)
        second = loss()
        (gradient,) = torch.autograd.grad(second, kernel)
    assert torch.equal(value, second.detach()) and torch.equal(gradient, expected)
