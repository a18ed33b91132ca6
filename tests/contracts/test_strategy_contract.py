"""Every registered strategy keeps the promises of `strategies/protocol.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medarts_ops.config import StrategyConfig
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space import SearchSpace
from medarts_ops.space.discretize import discretize
from medarts_ops.strategies.protocol import AlphaTensors, Batch, BilevelProblem, Strategy, WeightStep
from medarts_ops.strategies.registry import STRATEGIES, build_strategy

VARIANTS = [(name, order) for name in sorted(STRATEGIES) for order in ("first", "second")]
SPACE = SearchSpace(n_nodes=2)


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join(variant))
def strategy(request: pytest.FixtureRequest) -> Strategy:
    name, order = request.param
    return build_strategy(StrategyConfig(name=name, order=order))


def problem_of(strategy: Strategy) -> BilevelProblem:
    torch.manual_seed(0)
    network = Supernet(strategy.supernet_spec(SPACE), cells=3, channels=2, n_classes=3, in_channels=1)
    alpha = strategy.initial_alpha(SPACE, 0.1, np.random.default_rng(0))
    tensors = AlphaTensors(
        *(torch.from_numpy(cell.op_logits.copy())[None].requires_grad_() for cell in (alpha.normal, alpha.reduce))
    )
    buffers = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    return BilevelProblem(
        network,
        tensors,
        strategy.mixture,
        WeightStep(torch.tensor([0.1]), 0.9, 0.0, buffers),
        scaled_sum=lambda losses: losses.sum(),
        autocast=lambda: torch.autocast("cpu", enabled=False),
    )


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(1, 6, 1, 8, 8, generator=generator), torch.tensor([[0, 1, 2, 0, 1, 2]]))


def test_the_spec_has_the_shape_of_the_space(strategy):
    spec = strategy.supernet_spec(SPACE)
    assert spec.normal_mask.shape == spec.reduce_mask.shape == (SPACE.n_edges, SPACE.n_primitives)


def test_equal_generators_draw_equal_alpha(strategy):
    first, second = (strategy.initial_alpha(SPACE, 1e-3, np.random.default_rng(7)) for _ in range(2))
    assert first == second
    assert first.normal.op_logits.shape == (SPACE.n_edges, SPACE.n_primitives)


def test_mixture_weights_are_positive_and_differentiable(strategy):
    logits = torch.randn(SPACE.n_edges, SPACE.n_primitives).requires_grad_()
    mixture = strategy.mixture(logits)
    assert mixture.shape == logits.shape and bool((mixture >= 0).all())
    mixture.square().sum().backward()
    assert logits.grad is not None and bool(torch.isfinite(logits.grad).all())


def test_its_mixtures_can_be_discretized(strategy):
    alpha = strategy.initial_alpha(SPACE, 1.0, np.random.default_rng(0))
    mixtures = [strategy.mixture(torch.from_numpy(c.op_logits.copy())).numpy() for c in (alpha.normal, alpha.reduce)]
    assert discretize(SPACE, *mixtures).n_nodes("normal") == SPACE.n_nodes


def test_following_the_gradient_lowers_the_validation_loss(strategy):
    problem, train, valid = problem_of(strategy), batch(0), batch(1)
    gradient = strategy.architecture_gradient(problem, train, valid)
    with torch.no_grad():
        before = problem.losses(valid).item()
        for alpha, direction in zip(problem.alpha.all(), gradient.gradients, strict=True):
            alpha -= 0.01 * direction / direction.norm()
        assert problem.losses(valid).item() < before


def test_the_weights_are_left_alone(strategy):
    problem = problem_of(strategy)
    before = {name: weight.clone() for name, weight in problem.supernet.named_parameters()}
    strategy.architecture_gradient(problem, batch(0), batch(1))
    assert all(torch.equal(before[name], weight) for name, weight in problem.supernet.named_parameters())
    assert all(weight.grad is None for weight in problem.supernet.parameters())
