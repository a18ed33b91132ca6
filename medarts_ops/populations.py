"""Where a stage's individuals come from: random ones at first, then the survivors' heirs and children."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.config import SearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.evolution.children import children_of
from medarts_ops.evolution.inheritance import inherit
from medarts_ops.evolution.offspring import born
from medarts_ops.individual import Hyperparameters, Individual, RankedIndividual, individual_id, with_alpha
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.strategies.registry import build_strategy, own_config
from medarts_ops.strategies.strategy import StagePlace


def random_individual(config: SearchConfig, number: int, hyperparameters: Hyperparameters | None = None) -> Individual:
    """The first stage's individual of that number; without hyperparameters it has the config's own."""
    hyperparameters = hyperparameters or Hyperparameters.from_config(config)
    rng = random_generator(config.seed, 0, number, Stream.ALPHA)
    strategy = build_strategy(own_config(config, hyperparameters))
    return Individual(
        id=individual_id(config.stages[0].name, number),
        stage=0,
        number=number,
        origin="random",
        parents=(),
        alpha=strategy.initial_alpha(hyperparameters.alpha_init_std, rng),
        hyperparameters=hyperparameters,
    )


def random_individuals(
    config: SearchConfig, round: int, proposals: Sequence[Hyperparameters]
) -> tuple[Individual, ...]:
    """The first stage's individuals of one round, each with the hyperparameters proposed for its place."""
    numbered = enumerate(proposals, start=round * len(proposals))
    return tuple(random_individual(config, number, proposed) for number, proposed in numbered)


def next_individuals(config: SearchConfig, index: int, chosen: Sequence[RankedIndividual]) -> tuple[Individual, ...]:
    """A later stage's individuals: an heir of each survivor, and children of theirs (Fig. 4).

    The strategy says with which α the survivors go into the stage: their trained one, in DARTS and in the paper.
    """
    stage = config.stages[index]
    place = StagePlace(index, len(config.stages), stage)
    rng = random_generator(config.seed, index, 0, Stream.NEXT_STAGE)
    alphas = build_strategy(config).next_stage([ranked.trained.alpha for ranked in chosen], place, rng)
    if len(alphas) != len(chosen):
        raise SearchError(
            f"strategy {config.strategy.name!r} gave {len(alphas)} α of {len(chosen)} survivors to stage "
            f"{stage.name!r}: its next_stage has to give one for each, in their order"
        )
    parents = [with_alpha(ranked, alpha) for ranked, alpha in zip(chosen, alphas, strict=True)]
    heirs = inherit(parents, index, stage.name)
    rng = random_generator(config.seed, index, 0, Stream.CHILDREN)
    children = children_of(parents, stage.planned_children, config.space.search_space(), rng)
    return (*heirs, *born(children, index, stage.name, first_number=len(heirs)))
