"""Strategies that draw: what they draw follows its distribution, and the gradient its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from strategy_problems import SPACE, make_alpha_of, make_moment, make_tensors

from medarts_ops.strategies.alpha_tensors import AlphaTensors, masked_softmax
from medarts_ops.strategies.dr_nas import DrNas, DrNasSettings
from medarts_ops.strategies.gdas import Gdas, GdasSettings
from medarts_ops.strategies.problem import Phase
from medarts_ops.strategies.proxyless import Proxyless, ProxylessSettings
from medarts_ops.strategies.sdarts import SmoothDartsSettings
from medarts_ops.strategies.snas import SnasSettings
from medarts_ops.strategies.strategy import Strategy, StrategySettings

N_DRAWS = 4000


def built(settings: StrategySettings) -> Strategy:
    return settings.build(SPACE)


def tensors_of(strategy: Strategy, dtype: torch.dtype = torch.float32) -> AlphaTensors:
    return make_tensors(strategy, make_alpha_of(strategy, 1, std=1.0), dtype)


def many_draws(strategy: Strategy, progress: float, phase: Phase = "weights") -> torch.Tensor:
    """The normal cell's mixtures [draw, edge, op] at one α, with the noise of one generator."""
    (alpha,) = make_alpha_of(strategy, 1, std=1.0)
    cell = AlphaTensors.stack([alpha] * N_DRAWS, SPACE.n_primitives, torch.device("cpu")).normal
    generator = torch.Generator().manual_seed(0)
    noise = torch.stack([strategy.noise(generator) for _ in range(N_DRAWS)])
    return strategy.mixture(replace(cell, noise=noise), make_moment(phase, progress)).detach()


def shares_of(strategy: Strategy) -> np.ndarray:
    (alpha,) = make_alpha_of(strategy, 1, std=1.0)
    return torch.softmax(torch.from_numpy(alpha.normal.arrays["op_logits"].copy()).double(), -1).numpy()


@pytest.mark.parametrize(
    ("strategy", "progress"),
    [
        (built(GdasSettings()), 0.0),
        (built(GdasSettings()), 1.0),
        (built(ProxylessSettings()), 0.5),
        (built(SnasSettings(temperature_last=1e-3)), 1.0),
    ],
    ids=["gdas, hot", "gdas, cold", "proxyless", "snas, cold"],
)
def test_operations_are_drawn_as_often_as_softmax_says(strategy: Strategy, progress: float) -> None:
    counts = torch.nn.functional.one_hot(many_draws(strategy, progress).argmax(-1), SPACE.n_primitives).sum(0).numpy()
    worst = min(
        stats.chisquare(found, N_DRAWS * share / share.sum()).pvalue
        for found, share in zip(counts, shares_of(strategy), strict=True)
    )
    assert worst > 1e-3


def test_a_hot_concrete_draw_is_uniform_and_its_mean_keeps_the_order_of_alpha() -> None:
    hot = many_draws(built(SnasSettings(temperature_first=1e6)), 0.0)
    assert torch.allclose(hot, torch.full_like(hot, 1 / SPACE.n_primitives), atol=1e-4)
    strategy = built(SnasSettings())
    mean = many_draws(strategy, 0.0).mean(0).numpy()
    ranks = [stats.spearmanr(*rows).statistic for rows in zip(mean, shares_of(strategy), strict=True)]
    assert min(ranks) > 0.9 and np.abs(mean - shares_of(strategy)).max() > 0.02  # the order of softmax(α), not its size


@pytest.mark.parametrize("settings", [GdasSettings(), ProxylessSettings()])
def test_a_hard_draw_is_exactly_one_hot(settings: StrategySettings) -> None:
    for phase in ("weights", "alpha"):
        drawn = many_draws(built(settings), 0.7, phase)
        assert bool(((drawn == 0) | (drawn == 1)).all()) and bool((drawn.sum(-1) == 1).all())


def gradient_of(strategy: Strategy, worth: torch.Tensor, phase: Phase = "alpha") -> tuple[torch.Tensor, ...]:
    """Mixture, α and ∂L/∂α of the normal cell in float64, for L = Σ mixture · worth."""
    cell = tensors_of(strategy, torch.float64).normal
    mixture = strategy.mixture(cell, make_moment(phase, 0.5))
    logits = cell.arrays["op_logits"]
    (gradient,) = torch.autograd.grad((mixture * worth).sum(), logits)
    return mixture, logits, gradient, cell.noise


def test_proxyless_learns_from_every_gate_by_the_published_formula() -> None:
    worth = torch.randn(SPACE.n_edges, SPACE.n_primitives, dtype=torch.float64)
    _, logits, gradient, _ = gradient_of(built(ProxylessSettings()), worth)
    shares = logits.softmax(-1)[0]
    for edge in range(SPACE.n_edges):
        p, a = shares[edge], worth[edge]
        expected = [sum(a[j] * p[j] * (int(i == j) - p[i]) for j in range(len(p))) for i in range(len(p))]
        assert torch.allclose(gradient[0, edge], torch.stack(expected))


def test_the_step_of_w_has_no_gradient_to_proxyless_alpha() -> None:
    strategy = built(ProxylessSettings())
    assert not strategy.mixture(tensors_of(strategy).normal, make_moment("weights")).requires_grad


def test_gdas_learns_from_the_drawn_operation_alone() -> None:
    worth = torch.randn(SPACE.n_edges, SPACE.n_primitives, dtype=torch.float64)
    strategy = built(GdasSettings())
    mixture, logits, gradient, noise = gradient_of(strategy, worth)
    assert noise is not None
    temperature = 10 + (0.1 - 10) * 0.5
    relaxed = ((logits + noise) / temperature).softmax(-1)
    drawn = mixture.argmax(-1, keepdim=True)
    chosen = relaxed.gather(-1, drawn)
    (expected,) = torch.autograd.grad((chosen * worth[None].gather(-1, drawn)).sum(), logits)
    assert torch.allclose(gradient, expected)
    others = torch.where(torch.zeros_like(worth, dtype=torch.bool).scatter_(-1, drawn[0], True), worth, 99.0)
    assert torch.equal(gradient_of(strategy, others)[2], gradient)


def test_proxyless_steps_only_where_there_is_a_gradient() -> None:
    from factories import make_search_config_tiny

    from medarts_ops.strategies.strategy import AlphaStep

    array = torch.zeros(2, 3) + 1.0
    step = AlphaStep(
        0.1, 0.5, make_search_config_tiny().alpha, fused=False, capturable=False, progress=torch.tensor(0.5)
    )
    optimizer = built(ProxylessSettings()).alpha_optimizer([array], step)
    for _ in range(3):  # with momentum the first gradient, with decay α itself would move what has none
        array.grad = torch.zeros_like(array)
        array.grad[0, 0] = 1.0 if optimizer.state == {} else 0.0
        optimizer.step()
    assert array[1].tolist() == [1.0, 1.0, 1.0] and array[0, 1:].tolist() == [1.0, 1.0] and array[0, 0] < 1.0


def test_a_dirichlet_draw_has_the_distributions_marginals_and_sums_to_one() -> None:
    strategy = built(DrNasSettings())
    draws = many_draws(strategy, 0.5).double().numpy()
    assert np.allclose(draws.sum(-1), 1, atol=1e-5)
    (alpha,) = make_alpha_of(strategy, 1, std=1.0)
    concentration = torch.nn.functional.elu(torch.from_numpy(alpha.normal.arrays["op_logits"].copy())).double() + 1
    for edge in range(SPACE.n_edges):
        for operation in range(SPACE.n_primitives):
            c, rest = concentration[edge, operation], concentration[edge].sum() - concentration[edge, operation]
            marginal = stats.beta(float(c), float(rest))
            assert stats.kstest(draws[:, edge, operation], marginal.cdf).pvalue > 1e-4
    read = strategy.mixture(tensors_of(strategy).normal, make_moment("reading"))[0].detach().double()
    assert torch.allclose(read, concentration / concentration.sum(-1, keepdim=True), atol=1e-6)


def test_the_gradient_of_many_dirichlet_draws_is_that_of_their_mean() -> None:
    strategy = built(DrNasSettings())
    (alpha,) = make_alpha_of(strategy, 1, std=0.5)
    cell = AlphaTensors.stack([alpha] * N_DRAWS, SPACE.n_primitives, torch.device("cpu"), torch.float64).normal
    generator = torch.Generator().manual_seed(1)
    noise = torch.stack([strategy.noise(generator) for _ in range(N_DRAWS)]).double()
    worth = torch.randn(SPACE.n_edges, SPACE.n_primitives, generator=torch.Generator().manual_seed(2)).double()
    gradients = []
    for given in (noise, None):
        leaf = cell.arrays["op_logits"]
        mixture = strategy.mixture(replace(cell, noise=given), make_moment("alpha"))
        gradients.append(torch.autograd.grad((mixture * worth).sum() / N_DRAWS, leaf)[0].sum(0))
    assert torch.allclose(*gradients, atol=0.02)


def test_dirichlet_draws_stay_finite_where_alpha_is_far_away() -> None:
    strategy = built(DrNasSettings(kl=0.1))
    cell = tensors_of(strategy).normal
    for value in (-10.0, -80.0, 60.0):
        leaf = torch.full_like(cell.arrays["op_logits"], value, requires_grad=True)
        mixture = strategy.mixture(replace(cell, arrays={"op_logits": leaf}), make_moment("alpha"))
        (gradient,) = torch.autograd.grad(mixture.square().sum(), leaf)
        assert bool(torch.isfinite(mixture).all()) and bool(torch.isfinite(gradient).all())


def test_the_divergence_is_torchs() -> None:
    strategy = DrNas(SPACE, DrNasSettings(kl=1))
    alpha = tensors_of(strategy, torch.float64)
    expected = 0.0
    for cell in alpha.cells:
        concentration = torch.nn.functional.elu(cell.arrays["op_logits"]) + 1
        one = torch.distributions.Dirichlet(torch.ones_like(concentration))
        expected += torch.distributions.kl_divergence(torch.distributions.Dirichlet(concentration), one).sum(-1)
    assert torch.allclose(strategy.penalty(alpha, make_moment()), expected)


def test_smoothing_keeps_rows_whole_reaches_so_far_and_spares_the_step_of_alpha() -> None:
    strategy = built(SmoothDartsSettings(smoothing_first=0.1, smoothing_last=0.1))
    cell = tensors_of(strategy).normal
    plain = masked_softmax(cell.arrays["op_logits"], cell.mask)
    smoothed = strategy.mixture(cell, make_moment("weights"))
    assert torch.allclose(smoothed.sum(-1), torch.ones(1, SPACE.n_edges)) and not torch.equal(smoothed, plain)
    raw = (plain + 0.1 * cell.noise).clamp(0, 1)
    assert torch.allclose(smoothed, raw / raw.sum(-1, keepdim=True))
    assert torch.equal(strategy.mixture(cell, make_moment("alpha")), plain)
    none = built(SmoothDartsSettings(smoothing_first=0, smoothing_last=0))
    assert torch.equal(none.mixture(cell, make_moment("weights")), plain)


def test_a_row_that_smoothing_empties_is_its_strongest_operation() -> None:
    strategy = built(SmoothDartsSettings(smoothing_first=1, smoothing_last=1))
    cell = tensors_of(strategy).normal
    emptied = replace(cell, noise=-torch.ones_like(cell.noise))
    found = strategy.mixture(emptied, make_moment("weights"))
    assert torch.equal(found.argmax(-1), cell.arrays["op_logits"].argmax(-1))
    assert torch.equal(found.sum(-1), torch.ones(1, SPACE.n_edges))


@pytest.mark.parametrize("part", [Gdas, Proxyless])
def test_a_reading_has_no_noise(part: type[Strategy]) -> None:
    strategy = built(GdasSettings() if part is Gdas else ProxylessSettings())
    cell = tensors_of(strategy).normal
    read = strategy.mixture(replace(cell, noise=None), make_moment("reading"))
    assert torch.equal(read, masked_softmax(cell.arrays["op_logits"], cell.mask))
