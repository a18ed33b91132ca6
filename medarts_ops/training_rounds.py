"""Beneath the algorithm: a population becomes tasks that executors train, is measured, tried again, and remembered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from medarts_ops.alpha import operations_left
from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.data.search_data import SearchData
from medarts_ops.executors.protocol import Executor
from medarts_ops.individual import (
    EpochRecord,
    EvaluatedIndividual,
    FailedIndividual,
    Individual,
    Measured,
    Outcome,
    RankedIndividual,
    TrainedIndividual,
)
from medarts_ops.objectives.measuring import MeasuringContext
from medarts_ops.objectives.registry import are_timed, evaluate_individual
from medarts_ops.observers import EpochFinished, IndividualFinished, PopulationBorn, SearchEvent, StageStarted
from medarts_ops.tasks import TrainingTask, stacks_of

CHECKPOINTS = "checkpoints"  # folder of a search that holds the individuals in training


class Known(NamedTuple):
    """What earlier processes of a search came to: populations by stage and round, outcomes by individual's id."""

    populations: Mapping[tuple[int, int], tuple[Individual, ...]]
    outcomes: Mapping[str, Measured]

    @classmethod
    def from_events(cls, events: Sequence[SearchEvent]) -> Known:
        born = {(event.stage, event.round): event.individuals for event in events if isinstance(event, PopulationBorn)}
        outcomes = {event.individual.id: event.outcome for event in events if isinstance(event, IndividualFinished)}
        return cls(born, outcomes)


class TrainingRounds:
    """Trains and measures populations of a search, one after the other; `tell` takes every event.

    Stage images and checkpoints are written to `folder`; what is `known` is not trained again.
    """

    def __init__(
        self,
        config: ResolvedSearchConfig,
        folder: Path,
        data: SearchData,
        executor: Executor,
        known: Known,
        tell: Callable[[SearchEvent], None],
    ) -> None:
        self._config, self._folder, self._data = config, folder, data
        self._executor, self.known, self._tell = executor, known, tell
        self._context = MeasuringContext(
            para_aug=config.para_aug,
            n_classes=len(data.summary.class_names),
            in_channels=data.summary.in_channels,
            resolution=data.summary.resolution,
        )

    def begin_stage(self, index: int, chosen: Sequence[RankedIndividual]) -> None:
        """Tell that a stage begins, with those `chosen` from the one before, and write its images for its tasks."""
        name, data = self._config.stages[index].name, self._data.stages[index]
        survivors = tuple(ranked.id for ranked in chosen)
        self._tell(StageStarted(index=index, name=name, survivors=survivors, images=len(data.images)))
        data.save(self._stage_data(index))

    def train(self, stage: int, round: int, population: Sequence[Individual]) -> list[Measured]:
        """Train and measure a population; in its own order, whatever the order in which outcomes came.

        Who failed by no fault of its own is trained again, as often as the config's `retries` says.
        """
        self._tell(PopulationBorn(stage=stage, round=round, individuals=tuple(population)))
        measured: dict[str, Measured] = {}
        for individual in population:
            self._answer_from_known(individual, measured)
        for tries_left in reversed(range(self._config.retries + 1)):
            tasks = self._tasks(stage, population, measured)
            if tasks:
                self._train_once(tasks, measured, may_retry=tries_left > 0)
        shutil.rmtree(self._folder / CHECKPOINTS, ignore_errors=True)  # it is known what came of them
        return [measured[individual.id] for individual in population]

    def _answer_from_known(self, individual: Individual, measured: dict[str, Measured]) -> None:
        outcome = self.known.outcomes.get(individual.id)
        if outcome is None:
            return
        if isinstance(outcome, EvaluatedIndividual):
            for record in outcome.trained.history:
                self._on_epoch(individual, record)
        measured[individual.id] = outcome
        self._tell(IndividualFinished(outcome=outcome))

    def _train_once(self, tasks: Sequence[TrainingTask], measured: dict[str, Measured], *, may_retry: bool) -> None:
        outcomes: Iterable[Outcome] = self._executor.run(tasks, self._on_epoch)
        if self._config.runtime.workers > 1 and are_timed(self._config.objectives):
            outcomes = list(outcomes)  # a clock is read when nothing trains beside it
        for outcome in outcomes:
            name = outcome.individual.id
            if name in measured:
                continue  # one of a stack that was trained again for another member's sake
            if may_retry and isinstance(outcome, FailedIndividual) and outcome.cause != "diverged":
                continue
            if isinstance(outcome, TrainedIndividual):
                measured[name] = evaluate_individual(outcome, self._config.objectives, self._context)
            else:
                measured[name] = outcome
            self._tell(IndividualFinished(outcome=measured[name]))

    def _tasks(self, stage: int, population: Sequence[Individual], done: dict[str, Measured]) -> list[TrainingTask]:
        """Groups as large as a stack, without those of which nothing is left to do."""
        groups = stacks_of(self._config, self._config.stages[stage], population, self._config.runtime.stack)
        return [
            TrainingTask(
                individuals=group,
                stage=self._config.stages[stage],
                config=self._config,
                stage_data=str(self._stage_data(stage)),
                masks=operations_left(individual.alpha for individual in population),
                checkpoint=str(self._folder / CHECKPOINTS / f"{group[0].id}.pt"),
            )
            for group in groups
            if not done.keys() >= {individual.id for individual in group}
        ]

    def _on_epoch(self, individual: Individual, record: EpochRecord) -> None:
        # α of an epoch is told once, with all others when the individual has finished: a journal would hold it often.
        told = record.model_copy(update={"alpha": None})
        self._tell(EpochFinished(individual_id=individual.id, record=told))

    def _stage_data(self, stage: int) -> Path:
        return self._folder / f"stage-{stage}.npz"
