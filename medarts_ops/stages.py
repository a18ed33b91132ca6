"""ME-DARTS (paper Table I): for each stage train, measure, rank; then survivors, inheritance and crossover.

Given the same config, proposals and outcomes, a search asks for the same work and tells the same events: there is
no clock and no global random state in here. What its journal already holds is answered from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.data.search_data import SearchData
from medarts_ops.errors import SearchError
from medarts_ops.evolution.crossover import crossover
from medarts_ops.evolution.inheritance import inherit
from medarts_ops.evolution.ranking import rank, survivors
from medarts_ops.executors.protocol import Executor
from medarts_ops.individual import (
    EpochRecord,
    EvaluatedIndividual,
    FailedIndividual,
    Individual,
    Outcome,
    RankedIndividual,
    SearchResult,
    StageResult,
    TrainedIndividual,
    TrainingTask,
    without_epoch_alphas,
)
from medarts_ops.journal.journal import Journal
from medarts_ops.objectives.measuring import MeasuringContext
from medarts_ops.objectives.registry import evaluate_individual
from medarts_ops.observers import (
    EpochFinished,
    IndividualFinished,
    PopulationBorn,
    SearchObserver,
    StageFinished,
    StageStarted,
)
from medarts_ops.proposers import Proposer
from medarts_ops.training.random_individual import random_individual

Measured = EvaluatedIndividual | FailedIndividual

CHECKPOINTS = "checkpoints"
"""Folder of a search that holds the individuals in training."""


class MultiStageSearch:
    """The algorithm, with its collaborators at hand."""

    def __init__(
        self,
        config: ResolvedSearchConfig,
        folder: Path,
        data: SearchData,
        proposer: Proposer,
        executor: Executor,
        observer: SearchObserver,
        journal: Journal,
    ) -> None:
        self._config, self._folder, self._data = config, folder, data
        self._proposer, self._executor, self._observer, self._journal = proposer, executor, observer, journal
        self._context = MeasuringContext(
            para_aug=config.para_aug,
            n_classes=len(data.summary.class_names),
            in_channels=data.summary.in_channels,
            resolution=data.summary.resolution,
        )

    def run(self) -> SearchResult:
        """All stages, each fed by the one before."""
        results: list[StageResult] = []
        for index, stage in enumerate(self._config.stages):
            chosen = survivors(results[-1].ranked, stage.survivors or 0) if results else ()
            results.append(self._run_stage(index, stage, chosen))
        return SearchResult(search_id=self._folder.name, stages=tuple(results))

    def _run_stage(self, index: int, stage: StageConfig, chosen: Sequence[RankedIndividual]) -> StageResult:
        self._observer.notify(
            StageStarted(
                index=index,
                name=stage.name,
                survivors=tuple(ranked.id for ranked in chosen),
                images=len(self._data.stages[index].images),
            )
        )
        self._data.stages[index].save(self._stage_data(index))
        if chosen:
            children = crossover(chosen, stage.children, index, stage.name, first_number=len(chosen))
            measured = self._train(index, stage, 0, [*inherit(chosen, index, stage.name), *children])
        else:
            measured = self._train_generations(index, stage)
        result = self._rank(index, stage, measured)
        self._observer.notify(StageFinished(result=result))
        return result

    def _train_generations(self, index: int, stage: StageConfig) -> list[Measured]:
        """The random individuals of the first stage, in rounds of proposals."""
        size = stage.population or 0
        measured: list[Measured] = []
        for generation in range(self._config.proposals.generations):
            population = self._born(index, generation)
            if population is None:
                population = tuple(
                    random_individual(self._config, generation * size + place, hyperparameters, stage=index)
                    for place, hyperparameters in enumerate(self._proposer.propose(generation, size))
                )
            outcomes = self._train(index, stage, generation, population)
            self._proposer.tell(generation, outcomes)
            measured += outcomes
        return measured

    def _born(self, index: int, generation: int) -> tuple[Individual, ...] | None:
        """The population that an earlier process made, if it did."""
        event = self._journal.find(f"population_born/{index}/{generation}")
        return event.individuals if isinstance(event, PopulationBorn) else None

    def _train(
        self, index: int, stage: StageConfig, generation: int, population: Sequence[Individual]
    ) -> list[Measured]:
        """Train and measure a population; in its own order, whatever the order in which outcomes came."""
        self._observer.notify(PopulationBorn(stage=index, round=generation, individuals=tuple(population)))
        measured: dict[int, Measured] = {}
        for individual in population:
            self._tell_again(individual, measured)
        tasks = self._tasks(index, stage, population, set(measured))
        for tries_left in reversed(range(self._config.retries + 1)):
            if not self._train_tasks(tasks, measured, may_retry=tries_left > 0):
                break
            tasks = self._tasks(index, stage, population, set(measured))
        shutil.rmtree(self._folder / CHECKPOINTS, ignore_errors=True)  # the journal has what came of them
        return [measured[individual.number] for individual in population]

    def _train_tasks(self, tasks: Sequence[TrainingTask], measured: dict[int, Measured], *, may_retry: bool) -> bool:
        """Add what came of the tasks to `measured`; whether some are left to be trained again."""
        some_are_left = False
        for outcome in self._executor.run(tasks, self._on_epoch):
            if outcome.individual.number in measured:
                continue  # one of a stack that was trained again for another member's sake
            if may_retry and isinstance(outcome, FailedIndividual) and outcome.cause != "diverged":
                some_are_left = True
                continue
            finished = IndividualFinished(outcome=self._measure(outcome))
            measured[outcome.individual.number] = finished.outcome
            self._observer.notify(finished)
        return some_are_left

    def _tell_again(self, individual: Individual, measured: dict[int, Measured]) -> None:
        """Answer from the journal what an earlier process measured."""
        event = self._journal.find(f"individual_finished/{individual.id}")
        if not isinstance(event, IndividualFinished):
            return
        if isinstance(event.outcome, EvaluatedIndividual):
            for record in event.outcome.trained.history:
                self._on_epoch(individual, record)
        measured[individual.number] = event.outcome
        self._observer.notify(event)

    def _tasks(
        self, index: int, stage: StageConfig, population: Sequence[Individual], done: set[int]
    ) -> list[TrainingTask]:
        """Groups as large as a stack, without those of which nothing is left to do."""
        stack = self._config.runtime.stack
        groups = [tuple(population[first : first + stack]) for first in range(0, len(population), stack)]
        return [
            TrainingTask(
                individuals=group,
                stage=stage,
                config=self._config,
                stage_data=str(self._stage_data(index)),
                checkpoint=str(self._folder / CHECKPOINTS / f"{group[0].id}.pt"),
            )
            for group in groups
            if not done.issuperset(individual.number for individual in group)
        ]

    def _on_epoch(self, individual: Individual, record: EpochRecord) -> None:
        # α of an epoch is told once, with all others when the individual has finished: a journal would hold it often.
        told = record.model_copy(update={"alpha": None})
        self._observer.notify(EpochFinished(individual_id=individual.id, record=told))

    def _measure(self, outcome: Outcome) -> Measured:
        if isinstance(outcome, TrainedIndividual):
            return evaluate_individual(outcome, self._config.objectives, self._context)
        return outcome

    def _rank(self, index: int, stage: StageConfig, measured: Sequence[Measured]) -> StageResult:
        evaluated = [without_epoch_alphas(each) for each in measured if isinstance(each, EvaluatedIndividual)]
        failed = tuple(each for each in measured if isinstance(each, FailedIndividual))
        needed = min(self._config.min_survivors, stage.size)
        if len(evaluated) < needed:
            raise SearchError(
                f"stage {stage.name!r}: {len(failed)} of {len(measured)} individuals failed and min_survivors asks for "
                f"{needed} that did not, so the search can't go on; the first says: {failed[0].reason}"
            )
        return StageResult(
            index=index,
            name=stage.name,
            ranked=rank(evaluated, self._config.objectives),
            failed=failed,
            seconds=sum(each.trained.seconds for each in evaluated) + sum(each.seconds for each in failed),
        )

    def _stage_data(self, index: int) -> Path:
        return self._folder / f"stage-{index}.npz"
