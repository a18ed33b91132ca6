"""Batch norm that counts batches only where that is needed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medarts_ops.bench.launches import count_launches
from medarts_ops.networks.batch_norm import BatchNorm
from medarts_ops.networks.frozen import frozen_statistics


def both(momentum: float | None = 0.1) -> tuple[BatchNorm, nn.BatchNorm2d]:
    """Ours and torch's, in float64, with weights that are not 1 and 0."""
    ours, theirs = BatchNorm(3, momentum=momentum).double(), nn.BatchNorm2d(3, momentum=momentum).double()
    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(3, dtype=torch.float64, generator=generator) for _ in range(2)]
    for norm in (ours, theirs):
        norm.weight.data.copy_(weights[0])
        norm.bias.data.copy_(weights[1])
    return ours, theirs


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_it_computes_what_torchs_own_does_and_moves_the_same_statistics(momentum: float | None) -> None:
    ours, theirs = both(momentum)
    images = torch.randn(5, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for number in range(3):
        assert torch.equal(ours(images * number), theirs(images * number))
    assert torch.equal(ours.running_mean, theirs.running_mean) and torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(images), theirs.eval()(images))
    assert ours.num_batches_tracked == (3 if momentum is None else 0)


def test_frozen_statistics_stay_where_they_are() -> None:
    norm, _ = both()
    with frozen_statistics(norm):
        norm(torch.randn(5, 3, 4, 4, dtype=torch.float64))
    assert norm.running_mean.tolist() == [0, 0, 0] and norm.running_var.tolist() == [1, 1, 1]


def test_a_pass_is_one_launch_and_weights_go_to_and_from_torchs_own() -> None:
    ours, theirs = both()
    assert sum(count_launches(lambda: ours(torch.ones(2, 3, 2, 2, dtype=torch.float64))).values()) == 1 + 1  # ones
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
