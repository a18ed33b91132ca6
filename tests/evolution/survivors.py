"""Survivors to breed from."""

from __future__ import annotations

from collections.abc import Sequence

from factories import make_alpha, make_hyperparameters, make_individual, make_ranked, make_trained

from medarts_ops.alpha import Alpha
from medarts_ops.individual import RankedIndividual


def make_survivors(n: int) -> list[RankedIndividual]:
    """Survivors init-00, init-01, … with different α, α lr and weights of edges."""
    return survivors_with([make_alpha(50 + number, edges_weighted=True) for number in range(n)])


def survivors_with(alphas: Sequence[Alpha]) -> list[RankedIndividual]:
    """Survivors init-00, init-01, … with these trained α, and different α lr."""
    return [
        make_ranked(
            trained=make_trained(
                make_individual(number, hyperparameters=make_hyperparameters(alpha_lr=1e-3 * (number + 1))),
                alpha=alpha,
            )
        )
        for number, alpha in enumerate(alphas)
    ]
