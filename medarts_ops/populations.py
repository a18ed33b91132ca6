"""Where a stage's individuals come from: random ones at first, then the survivors' heirs and crossover children."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.evolution.crossover import crossover
from medarts_ops.evolution.inheritance import inherit
from medarts_ops.individual import Hyperparameters, Individual, RankedIndividual, individual_id
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.strategies.registry import build_strategy


def random_individuals(
    config: SearchConfig, round: int, proposals: Sequence[Hyperparameters]
) -> tuple[Individual, ...]:
    """The first stage's individuals of one round, each with the hyperparameters proposed for its place."""
    strategy, space = build_strategy(config.strategy), config.space.search_space()
    numbered = enumerate(proposals, start=round * len(proposals))
    return tuple(
        Individual(
            id=individual_id(config.stages[0].name, number),
            stage=0,
            number=number,
            origin="random",
            parents=(),
            alpha=strategy.initial_alpha(
                space, proposed.alpha_init_std, random_generator(config.seed, 0, number, Stream.ALPHA)
            ),
            hyperparameters=proposed,
        )
        for number, proposed in numbered
    )


def next_individuals(chosen: Sequence[RankedIndividual], index: int, stage: StageConfig) -> tuple[Individual, ...]:
    """A later stage's individuals: an heir of each survivor, and children of pairs of them (Fig. 4)."""
    heirs = inherit(chosen, index, stage.name)
    return (*heirs, *crossover(chosen, stage.children, index, stage.name, first_number=len(chosen)))
