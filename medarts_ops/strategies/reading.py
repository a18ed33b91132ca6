"""What α says, read by its strategy: the one way from α to mixtures that are discretized, validated or drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from medarts_ops.alpha import Alpha, Mixtures
from medarts_ops.config import SearchConfig
from medarts_ops.errors import GenotypeError
from medarts_ops.individual import Individual
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.problem import Moment, mixtures_of
from medarts_ops.strategies.registry import build_strategy, own_config
from medarts_ops.strategies.strategy import Strategy


def read_mixtures(strategy: Strategy, alpha: AlphaTensors, moment: Moment) -> Mixtures:
    """The mixtures [edge, op] of the one individual in `alpha`; waits for the device."""
    with torch.no_grad():
        normal, reduce = (mixture[0].cpu().numpy() for mixture in mixtures_of(strategy, alpha, moment))
    return Mixtures(normal, reduce)


def readings_of(config: SearchConfig, stage: int, alphas: Sequence[Alpha]) -> tuple[Mixtures, ...]:
    """What each α of a search's stage says in float64 at its end; GenotypeError if it has not the space's edges."""
    strategy = build_strategy(config)
    space = strategy.space
    for cell in (cell for alpha in alphas for cell in alpha.cells):
        if cell.n_edges != space.n_edges:
            raise GenotypeError(f"α has {cell.n_edges} edges: allowed are the {space.n_edges} of the search's space")
    return readings_at(strategy, alphas, config.progress(stage + 1, 0))


def reader_of(config: SearchConfig, individual: Individual) -> Callable[[Sequence[Alpha]], tuple[Mixtures, ...]]:
    """`readings_of` for α of one individual, by its own numbers of the strategy; built when it is called."""
    return lambda alphas: readings_of(own_config(config, individual.hyperparameters), individual.stage, alphas)


def readings_at(strategy: Strategy, alphas: Sequence[Alpha], progress: float) -> tuple[Mixtures, ...]:
    """What each α says in float64 when that share of the search is over."""
    moment = Moment("reading", torch.tensor(progress))
    n = strategy.space.n_primitives
    tensors = (AlphaTensors.stack([alpha], n, torch.device("cpu"), torch.float64) for alpha in alphas)
    return tuple(read_mixtures(strategy, each, moment) for each in tensors)
