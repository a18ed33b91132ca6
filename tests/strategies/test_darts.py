"""The architecture gradients of DARTS against exact ones, in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from strategy_problems import make_problem
from torch.func import functional_call

from medarts_ops.config import StrategyConfig
from medarts_ops.data.batches import Batch
from medarts_ops.errors import ConfigError
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.problem import BilevelProblem, WeightStep
from medarts_ops.strategies.registry import strategy_settings

SPACE = SearchSpace(n_nodes=2)
MOMENTUM, DECAY, LR = 0.9, 0.01, 0.2
FIRST = Darts(SPACE)


@pytest.fixture
def bilevel() -> tuple[BilevelProblem, Batch, Batch]:
    """A small float64 problem whose optimizer has momentum from one step."""
    problem = make_problem(FIRST, channels=2, dtype=torch.float64)
    network = problem.supernet
    shape = (1, SPACE.n_edges, SPACE.n_primitives)
    batches = [Batch(torch.randn(1, 6, 1, 8, 8).double(), torch.tensor([[0, 1, 2, 0, 1, 2]])) for _ in range(3)]
    with torch.no_grad():
        for leaf in problem.alpha.leaves():
            leaf.copy_(torch.randn(shape))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    buffers = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    # A schedule has moved on since the step: the virtual one takes the rate of now.
    step = WeightStep(torch.tensor([0.05], dtype=torch.float64), MOMENTUM, DECAY, buffers)
    problem = replace(problem, weight_step=step)
    problem.losses(batches[2]).sum().backward()
    optimizer.step()
    for name, weight in network.named_parameters():
        buffers[name].copy_(optimizer.state[weight]["momentum_buffer"])
    return problem, batches[0], batches[1]


def exact_unrolled_gradient(problem: BilevelProblem, train: Batch, valid: Batch) -> tuple[torch.Tensor, ...]:
    """∇α Lval(w − ξ(μ buf + ∇w Ltrain(w, α) + λ w), α), differentiated through the step by autograd."""
    weights = dict(problem.supernet.named_parameters())
    mixtures = [alpha.softmax(-1) for alpha in problem.alpha.leaves()]

    def loss(values: dict[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        return F.cross_entropy(functional_call(problem.supernet, values, (batch.images, *mixtures))[0], batch.labels[0])

    gradients = torch.autograd.grad(loss(weights, train), list(weights.values()), create_graph=True)
    buffers = problem.weight_step.momentum_buffers.values()
    virtual = {
        name: weight - 0.05 * (MOMENTUM * buffer + gradient + DECAY * weight)
        for (name, weight), gradient, buffer in zip(weights.items(), gradients, buffers, strict=True)
    }
    return torch.autograd.grad(loss(virtual, valid), problem.alpha.leaves())


def test_second_order_gradient_equals_the_exact_unrolled_one(bilevel):
    problem, train, valid = bilevel
    # So short a step that no ReLU of this tiny network changes side: then the difference is exact.
    approximate = (
        Darts(SPACE, DartsSettings(order="second", finite_difference=1e-6))
        .architecture_gradient(problem, train, valid)
        .gradients
    )
    exact = exact_unrolled_gradient(problem, train, valid)
    first = FIRST.architecture_gradient(problem, train, valid).gradients
    for ours, theirs, without in zip(approximate, exact, first, strict=True):
        error, correction = (ours - theirs).norm(), (theirs - without).norm()
        assert correction > 0.05 * theirs.norm()  # second order says something else than first order
        assert error < 1e-6 * correction


def test_first_order_gradient_is_the_plain_validation_gradient(bilevel):
    problem, train, valid = bilevel
    expected = torch.autograd.grad(problem.losses(valid).sum(), problem.alpha.leaves())
    got = FIRST.architecture_gradient(problem, train, valid)
    for ours, theirs in zip(got.gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert got.losses.item() == pytest.approx(problem.losses(valid).item())


def test_second_order_leaves_weights_statistics_and_gradients_alone(bilevel):
    problem, train, valid = bilevel
    problem.supernet.zero_grad(set_to_none=True)
    before = {name: tensor.clone() for name, tensor in problem.supernet.state_dict().items()}
    Darts(SPACE, DartsSettings(order="second")).architecture_gradient(problem, train, valid)
    assert all(torch.equal(before[name], tensor) for name, tensor in problem.supernet.state_dict().items())
    assert all(parameter.grad is None for parameter in problem.supernet.parameters())


def test_first_order_moves_the_statistics_as_an_ordinary_forward_does(bilevel):
    problem, train, valid = bilevel
    before = problem.supernet.stem.norm.running_mean.clone()
    FIRST.architecture_gradient(problem, train, valid)
    assert not torch.equal(before, problem.supernet.stem.norm.running_mean)


def test_initial_alpha_is_small_and_differs_between_cells_and_streams():
    space = SearchSpace()
    one, other = (Darts(space).initial_alpha(1e-3, np.random.default_rng(seed)) for seed in (0, 1))
    assert one != other and one.normal != one.reduce
    assert one.normal.arrays["op_logits"].std() == pytest.approx(1e-3, rel=0.3)


def test_an_unknown_strategy_is_refused_with_its_near_miss():
    with pytest.raises(ConfigError, match="did you mean 'darts'"):
        strategy_settings(StrategyConfig(name="dart"))


def test_a_setting_of_another_strategy_is_refused_with_its_path_and_near_miss():
    with pytest.raises(ConfigError, match=r"unknown setting 'strategy.ordr'.*did you mean 'strategy.order'"):
        strategy_settings(StrategyConfig(name="darts", ordr="first"))
    with pytest.raises(ConfigError, match=r"strategy.order: .*'third'"):
        strategy_settings(StrategyConfig(order="third"))


@pytest.mark.parametrize(
    ("setting", "whose"),
    [
        ("channel_share", "channel_share is of pc-darts"),
        ("kl", "kl is of dr-nas"),
        ("nobodys", "finite_difference, name, order"),
    ],
)
def test_a_setting_of_other_strategies_is_refused_with_their_names(setting, whose):
    with pytest.raises(ConfigError, match=rf"^unknown setting 'strategy.{setting}': allowed here are beta, .*{whose}$"):
        strategy_settings(StrategyConfig(**{"name": "darts", setting: 2}))


def test_a_config_as_it_was_recorded_becomes_the_strategys_own_settings():
    given = StrategyConfig.model_validate_json('{"name":"darts","order":"second","finite_difference":0.02,"beta":0.0}')
    assert strategy_settings(given) == DartsSettings(order="second", finite_difference=0.02)
    assert strategy_settings(given).model_dump_json() == given.model_dump_json()
    assert strategy_settings(StrategyConfig()).model_dump() == {
        "name": "darts",
        "order": "first",
        "finite_difference": 0.01,
        "beta": 0.0,
    }
