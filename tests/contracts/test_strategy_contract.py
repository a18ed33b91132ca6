"""Every registered strategy, in all its orders, and one that uses every door keep what `Strategy` promises."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from factories import make_search_config_tiny
from made_up_strategy import EverythingSettings
from strategy_problems import (
    SPACE,
    make_alpha_of,
    make_batch,
    make_moment,
    make_place,
    make_problem,
    make_tensors,
)
from torch import nn

from medarts_ops.alpha import Alpha, operations_left
from medarts_ops.config import StrategyConfig
from medarts_ops.data.batches import Batch
from medarts_ops.errors import ConfigError
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.gdas import Gdas
from medarts_ops.strategies.problem import BilevelProblem, WeightStep, mixtures_of
from medarts_ops.strategies.proxyless import Proxyless
from medarts_ops.strategies.reading import read_mixtures
from medarts_ops.strategies.registry import STRATEGIES, build_strategy, strategy_settings
from medarts_ops.strategies.strategy import AlphaStep, Strategy, StrategySettings


def variants() -> list[StrategySettings]:
    """Each strategy as it is by default, and in each order that it has."""
    parts = [*(strategy_settings(StrategyConfig(name=name)) for name in STRATEGIES.names()), EverythingSettings()]
    with_orders = [part for part in parts if "order" in type(part).model_fields]
    return [*parts, *(part.model_copy(update={"order": "second"}) for part in with_orders)]


@pytest.fixture(params=variants(), ids=lambda part: f"{type(part).__name__}-{getattr(part, 'order', '')}")
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return request.param.build(SPACE)


STRAIGHT_THROUGH = (Gdas, Proxyless)
"""Whose weights don't move with α, though they have a gradient; tests/strategies hold that to its formula."""


def masked(alpha: Alpha, operation: str = "sep_conv_5x5") -> Alpha:
    """The same α on edges of which none has an operation any more, and the first lacks a second one."""
    mask = np.ones((SPACE.n_edges, SPACE.n_primitives), bool)
    mask[:, SPACE.primitives.index(operation)] = False
    mask[0, 1] = False
    cells = {
        kind: cell.model_copy(update={"mask": mask})
        for kind, cell in (("normal", alpha.normal), ("reduce", alpha.reduce))
    }
    return Alpha(**cells)


def test_the_spec_has_the_shape_of_the_space(strategy):
    spec = strategy.supernet_spec(make_place())
    assert spec.normal_mask.shape == spec.reduce_mask.shape == (SPACE.n_edges, SPACE.n_primitives)
    spec.check_channels(8)


def test_equal_generators_draw_equal_alpha(strategy):
    first, second = (strategy.initial_alpha(1e-3, np.random.default_rng(7)) for _ in range(2))
    assert first == second
    assert all(cell.n_edges == SPACE.n_edges for cell in first.cells)
    assert operations_left([first]) is None


def test_equal_generators_draw_equal_noise_on_the_cpu(strategy):
    if not strategy.draws_noise:
        with pytest.raises(AssertionError):
            strategy.noise(torch.Generator())
        return
    first, second = (strategy.noise(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second) and first.dtype == torch.float32 and first.device.type == "cpu"


@pytest.mark.parametrize("phase", ["weights", "alpha", "reading"])
def test_mixture_weights_are_positive_finite_and_differentiable(strategy, phase):
    tensors = make_tensors(strategy, make_alpha_of(strategy, 3, std=1.0))
    if phase == "reading":
        tensors = AlphaTensors(replace(tensors.normal, noise=None), replace(tensors.reduce, noise=None))
    for mixture in mixtures_of(strategy, tensors, make_moment(phase)):
        assert mixture.shape == (3, SPACE.n_edges, SPACE.n_primitives) and bool((mixture >= 0).all())
        if phase == "alpha":
            gradients = torch.autograd.grad(mixture.square().sum(), tensors.leaves(), materialize_grads=True)
            assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def test_fixed_noise_gives_the_gradient_of_finite_differences(strategy):
    if isinstance(strategy, STRAIGHT_THROUGH):
        return  # the weights of such a draw are constant
    tensors = make_tensors(strategy, make_alpha_of(strategy, 1, std=1.0), torch.float64)
    direction = [torch.randn_like(leaf) for leaf in tensors.leaves()]
    coefficients = torch.randn(SPACE.n_edges, SPACE.n_primitives, dtype=torch.float64)

    def value() -> torch.Tensor:
        normal, reduce = mixtures_of(strategy, tensors, make_moment())
        return (coefficients * (normal + 2 * reduce)).sum()

    gradients = torch.autograd.grad(value(), tensors.leaves())
    expected = sum(float((gradient * step).sum()) for gradient, step in zip(gradients, direction, strict=True))
    sides = []
    for sign in (1, -1):
        with torch.no_grad():
            for leaf, step in zip(tensors.leaves(), direction, strict=True):
                leaf += sign * 1e-6 * step
            sides.append(value().item())
            for leaf, step in zip(tensors.leaves(), direction, strict=True):
                leaf -= sign * 1e-6 * step
    assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_an_individuals_mixture_is_the_same_in_a_stack(strategy):
    alphas = make_alpha_of(strategy, 3, std=1.0)
    stacked = make_tensors(strategy, alphas)
    together = mixtures_of(strategy, stacked, make_moment())
    for number in range(3):
        part = slice(number, number + 1)
        alone = make_tensors(strategy, [alphas[number]])
        if strategy.draws_noise:
            alone = alone.with_noise(stacked.normal.noise[part], stacked.reduce.noise[part])
        for ours, theirs in zip(mixtures_of(strategy, alone, make_moment()), together, strict=True):
            assert torch.equal(ours[0], theirs[number])


def test_a_masked_operation_has_no_weight_and_no_gradient(strategy):
    alpha = masked(make_alpha_of(strategy, 1, std=1.0)[0])
    tensors = make_tensors(strategy, [alpha])
    for mixture, cell in zip(mixtures_of(strategy, tensors, make_moment()), tensors.cells, strict=True):
        assert not mixture[~cell.mask].any()
        (gradient,) = torch.autograd.grad(mixture.square().sum(), cell.arrays["op_logits"])
        assert not gradient[~cell.mask].any() and gradient.any()


def test_no_genotype_holds_a_masked_operation(strategy):
    for seed in range(5):
        alpha = masked(strategy.initial_alpha(1.0, np.random.default_rng(seed)), "skip_connect")
        genotype = strategy.genotype(read_mixtures(strategy, make_tensors(strategy, [alpha]), make_moment("reading")))
        assert genotype.n_nodes("normal") == SPACE.n_nodes
        assert genotype.skip_count("normal") == genotype.skip_count("reduce") == 0


def test_following_the_gradient_lowers_what_alpha_descends(strategy):
    if isinstance(strategy, STRAIGHT_THROUGH):
        return  # its gradient is of another function
    problem, train, valid = make_problem(strategy), make_batch(0), make_batch(1)
    gradient = strategy.architecture_gradient(problem, train, valid)
    before = descended(problem, train, valid)
    with torch.no_grad():
        for alpha, direction in zip(problem.alpha.leaves(), gradient.gradients, strict=True):
            alpha -= 0.01 * direction / (direction.norm() + 1e-12)
    assert descended(problem, train, valid) < before


def descended(problem: BilevelProblem, train: Batch, valid: Batch) -> float:
    """The validation loss with its penalty: in second order at the weights that a step of theirs leads to."""
    weights = dict(problem.supernet.named_parameters())
    if getattr(getattr(problem.strategy, "settings", None), "order", None) == "second":
        gradients = torch.autograd.grad(problem.losses(train).sum(), list(weights.values()))
        rate = problem.weight_step.lr.item()  # without momentum, so far, and decay
        weights = {name: weights[name] - rate * each for name, each in zip(weights, gradients, strict=True)}
    with torch.no_grad():
        return float(problem.penalized(problem.losses(valid, weights)))


PLANTED = SPACE.primitives.index("dil_conv_3x3")


class Signal(nn.Module):
    """Logits that are the label, as far as one operation of each edge is weighed; all others carry nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.ones(1, 1))

    def forward(self, images: torch.Tensor, normal: torch.Tensor, reduce: torch.Tensor) -> torch.Tensor:
        share = normal[..., PLANTED].mean(dim=1) + reduce[..., PLANTED].mean(dim=1)
        return self.strength * images.flatten(2) * share[:, None, None]


def test_it_learns_which_operation_carries_the_signal(strategy):
    if not strategy.trains_alpha:
        return
    labels = torch.arange(10)[None]
    batch = Batch(5 * torch.eye(10)[None], labels)
    alpha = AlphaTensors.stack(make_alpha_of(strategy, 1, std=0.0), SPACE.n_primitives, torch.device("cpu"))
    network = Signal()
    buffers = {"strength": torch.zeros(1, 1)}
    problem = replace(
        make_problem(strategy),
        supernet=network,
        dropout=None,
        weight_step=WeightStep(torch.tensor([0.01]), 0.9, 0.0, buffers),
    )
    arrays = [leaf.detach()[0] for leaf in alpha.leaves()]
    config = make_search_config_tiny().alpha
    optimizer = strategy.alpha_optimizer(arrays, AlphaStep(0.02, 0.0, config, False, False, torch.tensor(0.5)))
    stream = torch.Generator().manual_seed(0)
    for _ in range(150):
        noise = [strategy.noise(stream)[None] for _ in range(2)] if strategy.draws_noise else []
        given = replace(problem, alpha=alpha.with_noise(*noise) if noise else alpha)
        gradients = strategy.architecture_gradient(given, batch, batch).gradients
        for array, gradient in zip(arrays, gradients, strict=True):
            array.grad = gradient[0]
        optimizer.step()
    for mixture in read_mixtures(strategy, alpha, make_moment("reading")):
        assert (mixture.argmax(axis=1) == PLANTED).all()


def test_the_reported_loss_leaves_the_penalty_out(strategy, monkeypatch):
    problem, train, valid = make_problem(strategy), make_batch(0), make_batch(1)
    if strategy.penalty(problem.alpha, problem.moment) is None:
        return
    got = strategy.architecture_gradient(problem, train, valid).losses
    monkeypatch.setattr(type(strategy), "penalty", lambda *_: None)
    assert torch.equal(got, strategy.architecture_gradient(make_problem(strategy), train, valid).losses)


def test_the_weights_are_left_alone(strategy):
    problem = make_problem(strategy)
    before = {name: weight.clone() for name, weight in problem.supernet.named_parameters()}
    strategy.architecture_gradient(problem, make_batch(0), make_batch(1))
    assert all(torch.equal(before[name], weight) for name, weight in problem.supernet.named_parameters())
    assert all(weight.grad is None for weight in problem.supernet.parameters())


def test_its_optimizer_steps_every_array_in_float32(strategy):
    (alpha,) = make_alpha_of(strategy)
    arrays = [leaf.detach()[0] for leaf in make_tensors(strategy, [alpha]).leaves()]
    step = AlphaStep(
        0.1, 0.0, make_search_config_tiny().alpha, fused=False, capturable=False, progress=torch.tensor(0.5)
    )
    optimizer = strategy.alpha_optimizer(arrays, step)
    before = [array.clone() for array in arrays]
    for array in arrays:
        array.grad = torch.ones_like(array)
    optimizer.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, arrays, strict=True))


def test_hooks_take_values_and_give_values_that_fit(strategy):
    alphas = make_alpha_of(strategy, 3)
    for _ in range(12):
        for place, alpha in enumerate(alphas):
            tensors = make_tensors(strategy, [alpha])
            mixtures = read_mixtures(strategy, tensors, make_moment("reading"))
            alphas[place] = strategy.after_epoch(alpha, mixtures, make_place(), 0)
            tensors.overwrite(alphas[place])
            assert tensors.value() == alphas[place]
    prepared = strategy.next_stage(alphas, make_place(1), np.random.default_rng(0))
    assert len(prepared) == len(alphas)
    for alpha in prepared:
        strategy.genotype(read_mixtures(strategy, make_tensors(strategy, [alpha]), make_moment("reading")))
        for cell in alpha.cells:
            held = np.ones((SPACE.n_edges, SPACE.n_primitives), bool) if cell.mask is None else cell.mask.copy()
            held[:, SPACE.primitives.index("none")] = False
            assert held.any(axis=1).all()


def test_skip_dropout_is_a_probability(strategy):
    for epoch in range(5):
        probability = strategy.skip_dropout(make_place(), epoch)
        assert 0 <= probability < 1 and (strategy.drops_skips or probability == 0)


@pytest.mark.parametrize(
    ("method", "what"), [("mixture", "mixture [individual, edge, op]"), ("penalty", "penalty [individual]")]
)
def test_a_tensor_of_another_shape_is_refused_and_not_spread(strategy, monkeypatch, method, what):
    problem = make_problem(strategy)
    monkeypatch.setattr(strategy.__class__, method, lambda *_: torch.ones(1, 1, 1, 1))
    with pytest.raises(ValueError, match=rf"gave a {re.escape(what)} of shape \[1, 1, 1, 1\]: allowed is"):
        problem.penalized(torch.zeros(1)) if method == "penalty" else mixtures_of(
            strategy, problem.alpha, make_moment()
        )


class _Breaking(StrategySettings):
    def build(self, space: SearchSpace) -> Strategy:
        raise KeyError("edges")


class _NoStrategy(StrategySettings):
    def build(self, space: SearchSpace) -> Strategy:
        return "darts"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (_Breaking, r"strategy 'odd' can't be built \(KeyError: 'edges'\)"),
        (_NoStrategy, "strategy 'odd' builds a str: allowed is a Strategy"),
    ],
)
def test_what_builds_no_strategy_is_refused_in_one_line(monkeypatch, part, message):
    monkeypatch.setattr(STRATEGIES, "built_in", {**STRATEGIES.built_in, "odd": part})
    with pytest.raises(ConfigError, match=message):
        build_strategy(make_search_config_tiny().model_copy(update={"strategy": StrategyConfig(name="odd")}))


def test_what_is_no_settings_of_a_strategy_is_not_registered():
    with pytest.raises(ConfigError, match="is of type type: allowed is a subclass of StrategySettings"):
        STRATEGIES.register("odd", dict)
