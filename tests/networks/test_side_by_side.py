"""What modules compute side by side is what each computes by itself."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from medarts_ops.networks.batch_norm import BatchNorm
from medarts_ops.networks.frozen import frozen_statistics
from medarts_ops.networks.side_by_side import Group, SideBySide

WIDTHS = ((2, 3), (4, 1))
"""Outputs of the modules of two groups."""


def modules() -> nn.ModuleList:
    torch.manual_seed(0)
    made = nn.ModuleList(
        nn.Sequential(nn.Conv2d(3, width, 1, bias=False), BatchNorm(width)) for group in WIDTHS for width in group
    ).double()
    for module in made:
        nn.init.normal_(module[1].weight)
        nn.init.normal_(module[1].bias)
        nn.init.normal_(module[1].running_mean)
    return made


def groups_of(made: nn.ModuleList) -> list[Group]:
    pairs = (made[:2], made[2:])
    return [Group(tuple(each[0] for each in pair), tuple(each[1] for each in pair)) for pair in pairs]


def run_side_by_side(made: nn.ModuleList, images: torch.Tensor) -> list[torch.Tensor]:
    groups, outputs = groups_of(made), []
    beside = SideBySide(groups)
    for group, widths in zip(groups, WIDTHS, strict=True):
        joint = beside.joints[group]
        weight = joint.weight.view(-1, 3, 1, 1)
        outputs += joint.normed(nn.functional.conv2d(images, weight)).split(widths, dim=1)
    beside.give_back()
    return outputs


@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_running_statistics_are_those_of_the_modules(training):
    apart, together = modules().train(training), modules().train(training)
    images = torch.randn(5, 3, 4, 4, dtype=torch.float64)
    outputs = [module(images) for module in apart], run_side_by_side(together, images)
    for each in outputs:
        sum(output.sin().sum() for output in each).backward()
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(apart.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for one, other in zip(apart.buffers(), together.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_statistics_that_are_frozen_stay_as_they_are():
    made = modules()
    before = copy.deepcopy(dict(made.named_buffers()))
    with frozen_statistics(made):
        run_side_by_side(made, torch.randn(5, 3, 4, 4, dtype=torch.float64))
    assert all(torch.equal(before[name], buffer) for name, buffer in made.named_buffers())


def test_a_module_s_gradient_is_its_own_whatever_the_others_are_for():
    images, found = torch.randn(5, 3, 4, 4, dtype=torch.float64), []
    for weight in (0.0, 1.0):
        made = modules()
        first, *others = run_side_by_side(made, images)
        (first.sin().sum() + weight * sum(other.sin().sum() for other in others)).backward()
        found.append([parameter.grad for parameter in made[0].parameters()])
        assert made[1][0].weight.grad.any() == bool(weight)
    for one, other in zip(*found, strict=True):
        assert one.any()
        torch.testing.assert_close(one, other)
