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
    hyperparameters = hyperparameters or Hyperparameters.from_config(config)
    rng = random_generator(config.seed, stage, number, Stream.ALPHA)
    return Individual(
        id=individual_id(config.stages[stage].name, number),
        stage=stage,
        number=number,
        origin="random",
        parents=(),
        alpha=build_strategy(config).initial_alpha(hyperparameters.alpha_init_std, rng),
        hyperparameters=hyperparameters,
    )
