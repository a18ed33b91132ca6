"""ME-DARTS (paper Table I): for each stage train, measure, rank; then survivors, inheritance and crossover.

Given the same config, proposals and outcomes, a search asks for the same work and tells the same events: there is
no clock and no global random state in here, but for the question whether there is time for one more stage. What
trains, retries and remembers is `training_rounds.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.errors import NoSurvivors
from medarts_ops.evolution.choice import chosen_one
from medarts_ops.evolution.ranking import rank, survivors
from medarts_ops.individual import (
    SHORT_TRAININGS,
    Cut,
    Ended,
    EvaluatedIndividual,
    FailedIndividual,
    PrunedIndividual,
    StageResult,
    without_epoch_alphas,
)
from medarts_ops.observers import StageFinished
from medarts_ops.populations import next_individuals, random_individuals
from medarts_ops.proposers import Proposer
from medarts_ops.training_rounds import TrainingRounds


def multi_stage_search(
    config: ResolvedSearchConfig, proposer: Proposer, rounds: TrainingRounds, tell: Callable[[StageFinished], None]
) -> tuple[StageResult, ...]:
    """All stages, each fed by the one before; `tell` takes what came of it. SearchError if too few did not fail.

    Fewer than all, one at the least, if the time of the search is over before.
    """
    results: list[StageResult] = []
    for index, stage in enumerate(config.stages):
        if results and not rounds.has_time_for(index):
            break
        chosen = survivors(results[-1].ranked, stage.survivors or 0) if results else ()
        rounds.begin_stage(index, chosen)
        if chosen:
            measured = rounds.train(index, 0, next_individuals(config, index, chosen))
        else:
            measured = _train_random_individuals(config, proposer, rounds)
        result = _ranked(config, index, stage, measured, rounds.seconds_of_genotypes(index))
        yardsticks = {"yardstick": rounds.yardstick(index), "genotypes_yardstick": rounds.genotypes_yardstick}
        results.append(result.model_copy(update=yardsticks))
        tell(StageFinished(result=results[-1]))
    return tuple(results)


def _train_random_individuals(config: ResolvedSearchConfig, proposer: Proposer, rounds: TrainingRounds) -> list[Ended]:
    """The first stage, in rounds of proposals, each of which knows what came of the ones before."""
    measured: list[Ended] = []
    for round in range(config.proposals.generations):
        population = rounds.known.populations.get((0, round))
        if population is None:
            proposals = proposer.propose(round, config.stages[0].population or 0)
            population = random_individuals(config, round, proposals)
        outcomes = rounds.train(0, round, population)
        proposer.tell(round, outcomes)
        measured += outcomes
    return measured


def _ranked(
    config: ResolvedSearchConfig,
    index: int,
    stage: StageConfig,
    measured: Sequence[Ended],
    seconds_of_genotypes: float,
) -> StageResult:
    evaluated = [without_epoch_alphas(each) for each in measured if isinstance(each, EvaluatedIndividual)]
    failed = tuple(each for each in measured if isinstance(each, FailedIndividual))
    pruned = tuple(each for each in measured if isinstance(each, PrunedIndividual))
    needed = min(config.min_survivors, stage.size)
    if len(evaluated) < needed:
        raise NoSurvivors(
            f"stage {stage.name!r}: {len(failed)} of {len(measured)} individuals failed and min_survivors asks for "
            f"{needed} that did not, so the search can't go on; the first says: {failed[0].reason}"
        )
    return StageResult(
        index=index,
        name=stage.name,
        ranked=rank(evaluated, config.objectives),
        failed=failed,
        pruned=pruned,
        chosen=chosen_one(evaluated, config.objectives, config.result).id,
        seconds=sum(each.trained.seconds for each in evaluated)
        + sum(each.seconds for each in failed)
        + sum(each.seconds for each in pruned)
        + seconds_of_genotypes,
        cuts=_cuts(config, stage, evaluated),
    )


def _cuts(
    config: ResolvedSearchConfig, stage: StageConfig, evaluated: Sequence[EvaluatedIndividual]
) -> tuple[Cut, ...]:
    """What ended early since the time was over: the outcomes say it, so that a resumed search says the same."""
    if config.runtime.budget.seconds is None:
        return ()
    short = [len(each.trained.derived.history) for each in evaluated if each.trained.derived is not None]
    parts = [
        Cut(what="supernets", epochs=min(len(each.trained.history) for each in evaluated), planned=stage.epochs),
        *([Cut(what=SHORT_TRAININGS, epochs=min(short), planned=config.derived.epochs)] if short else []),
    ]
    return tuple(cut for cut in parts if cut.epochs < cut.planned)
