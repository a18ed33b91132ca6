"""Beta-DARTS's decay: the gradient of a mean logsumexp, outside of Adam."""

from __future__ import annotations

import torch
from factories import make_search_config_tiny
from strategy_problems import SPACE

from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.strategy import AlphaStep


def stepped(beta: float, progress: float, *arrays: torch.Tensor) -> list[torch.Tensor]:
    """The arrays after one step with a gradient of ones."""
    step = AlphaStep(0.1, 0.0, make_search_config_tiny().alpha, False, False, torch.tensor(progress))
    found = [array.clone() for array in arrays]
    optimizer = Darts(SPACE, DartsSettings(beta=beta)).alpha_optimizer(found, step)
    for array in found:
        array.grad = torch.ones_like(array)
    optimizer.step()
    return found


def test_it_is_the_gradient_of_the_mean_logsumexp_times_a_strength_that_grows() -> None:
    logits, edges = torch.randn(5, 8), torch.randn(5)
    plain, _ = stepped(0.0, 0.5, logits, edges)
    decayed, untouched = stepped(3.0, 0.5, logits, edges)
    leaf = plain.clone().requires_grad_()
    (expected,) = torch.autograd.grad(leaf.logsumexp(-1).mean(), leaf)
    assert torch.allclose(plain - decayed, 0.1 * 3.0 * 0.5 * expected, atol=1e-7)
    assert torch.equal(untouched, stepped(0.0, 0.5, logits, edges)[1])  # weights of edges are no mixture of operations


def test_at_the_searchs_beginning_and_without_strength_it_is_adam_bit_for_bit() -> None:
    logits = torch.randn(5, 8)
    (plain,) = stepped(0.0, 0.9, logits)
    assert torch.equal(stepped(5.0, 0.0, logits)[0], plain)
    assert type(Darts(SPACE).alpha_optimizer([logits], _step())) is torch.optim.Adam


def _step() -> AlphaStep:
    return AlphaStep(0.1, 0.0, make_search_config_tiny().alpha, False, False, torch.tensor(0.0))
