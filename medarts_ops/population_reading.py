"""What a whole population says, as one more candidate of one of its individuals."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.alpha import Mixtures
from medarts_ops.config import SearchConfig
from medarts_ops.errors import GenotypeError
from medarts_ops.evolution.consensus import consensus_alpha
from medarts_ops.individual import TrainedIndividual
from medarts_ops.space.differences import genotype_differences
from medarts_ops.strategies.reading import readings_of
from medarts_ops.strategies.registry import build_strategy
from medarts_ops.strategies.skip_repair import read_genotype
from medarts_ops.worth import mean_worth, weights_by_worth


def consensus_candidate(
    stage: int, trained: Sequence[TrainedIndividual], config: SearchConfig
) -> TrainedIndividual | None:
    """The mean of a stage's population, as the individual whose own genotype is nearest to what the mean says.

    With reading mixture that is read from the mean of α, with reading perturbation from the mean of worth. Nearest is
    who shares most edges, of equals the first. None where fewer than two are trained, where somebody's own genotype is
    the same, or where `max_skips` can't be kept.

    Source: PertNAS averages the worth of a population; that α's mean is read likewise, and that it competes with the
    individuals instead of replacing them, is ours.
    """
    if len(trained) < 2:
        return None
    strategy = build_strategy(config)
    alpha = consensus_alpha([each.alpha for each in trained])
    mixtures = readings_of(config, stage, [alpha])[0]
    worths = [each.worth for each in trained if each.worth is not None]
    worth = mean_worth(worths) if worths else None
    try:
        by_mixture = read_genotype(strategy, mixtures, config.max_skips)
        by_worth = worth and read_genotype(strategy, Mixtures(*weights_by_worth(worth)), config.max_skips)
    except GenotypeError:
        return None  # the individuals can be read, and the search goes on with them
    read = by_worth or by_mixture
    if any(each.genotype == read.genotype for each in trained):
        return None
    nearest = max(trained, key=lambda each: genotype_differences([each.genotype, read.genotype]).equal)
    return nearest.model_copy(
        update={
            "alpha": alpha,
            "genotype": read.genotype,
            "skips_set_aside": read.skips_set_aside,
            "worth": worth,
            "mixture_genotype": by_mixture.genotype if by_worth else None,
            "discretized_accuracy": None,
            "discretized_loss": None,
            "is_consensus": True,
        }
    )
