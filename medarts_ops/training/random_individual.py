"""The one maker of random individuals."""

from __future__ import annotations

from medarts_ops.config import SearchConfig
from medarts_ops.individual import Hyperparameters, Individual, individual_id
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.strategies.registry import build_strategy


def random_individual(
    config: SearchConfig, number: int, hyperparameters: Hyperparameters | None = None, *, stage: int = 0
) -> Individual:
    """The random individual of that number in a stage; without hyperparameters it has the config's own."""
    own = Hyperparameters.from_config(config) if hyperparameters is None else hyperparameters
    rng = random_generator(config.seed, stage, number, Stream.ALPHA)
    strategy, space = build_strategy(config.strategy), config.space.search_space()
    return Individual(
        id=individual_id(config.stages[stage].name, number),
        stage=stage,
        number=number,
        origin="random",
        parents=(),
        alpha=strategy.initial_alpha(space, own.alpha_init_std, rng),
        hyperparameters=own,
    )
