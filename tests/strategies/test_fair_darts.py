"""FairDARTS: operations that don't compete, and the loss that decides them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from strategy_problems import SPACE, make_alpha_of, make_moment, make_tensors

from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.fair_darts import FairDarts, FairDartsSettings

NONE = SPACE.primitives.index("none")
STRATEGY = FairDarts(SPACE)


def with_logits(*values: float) -> AlphaTensors:
    """α of one individual for each value, the same everywhere."""
    tensors = make_tensors(STRATEGY, make_alpha_of(STRATEGY, len(values)), torch.float64)
    logits = [torch.full_like(tensors.normal.arrays["op_logits"][:1], value) for value in values]
    filled = torch.cat(logits).requires_grad_()
    normal, reduce = (replace(cell, arrays={"op_logits": filled}) for cell in tensors.cells)
    return AlphaTensors(normal, reduce)


def test_an_operation_moves_no_others_weight_and_none_has_no_weight() -> None:
    tensors = with_logits(0.3)
    before = STRATEGY.mixture(tensors.normal, make_moment())
    with torch.no_grad():
        tensors.normal.arrays["op_logits"][0, 1, 4] += 1.0
    changed = (STRATEGY.mixture(tensors.normal, make_moment()) != before).nonzero().tolist()
    assert changed == [[0, 1, 4]] and not before[:, :, NONE].any()


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (40.0, -2.5), (-40.0, -2.5)])
def test_the_zero_one_loss_is_highest_at_one_half(value: float, expected: float) -> None:
    assert STRATEGY.penalty(with_logits(value, 0.0), make_moment())[0].item() == pytest.approx(expected, abs=1e-9)


def test_its_gradient_is_the_published_one() -> None:
    tensors = with_logits(0.4)
    logits = tensors.normal.arrays["op_logits"]
    (gradient,) = torch.autograd.grad(STRATEGY.penalty(tensors, make_moment()).sum(), logits)
    weight, n = torch.sigmoid(torch.tensor(0.4, dtype=torch.float64)), 2 * SPACE.n_edges * (SPACE.n_primitives - 1)
    each = -2 * 10.0 * (weight - 0.5) * weight * (1 - weight) / n  # of each kind of cell, which share the logits here
    assert torch.allclose(gradient[0, :, 1:], 2 * each.expand(SPACE.n_edges, SPACE.n_primitives - 1))
    assert not gradient[:, :, NONE].any()


def test_no_zero_one_loss_is_no_penalty() -> None:
    assert FairDarts(SPACE, FairDartsSettings(zero_one=0)).penalty(with_logits(1.0), make_moment()) is None
