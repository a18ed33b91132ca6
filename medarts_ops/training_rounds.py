"""Beneath the algorithm: a population becomes tasks that executors train, is measured, tried again, and remembered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from medarts_ops.alpha import operations_left
from medarts_ops.candidates import after_equal_epochs, best_of_each, candidates_of
from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.config_prune import compared_early
from medarts_ops.data.search_data import SearchData
from medarts_ops.deadline import SearchDeadline
from medarts_ops.derived import DerivedOutcome, FailedDerivedTraining
from medarts_ops.evolution.pruning import pruned_population
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.retrying import with_retries
from medarts_ops.individual import (
    Ended,
    EpochRecord,
    EvaluatedIndividual,
    FailedIndividual,
    Individual,
    Measured,
    Outcome,
    RankedIndividual,
    TrainedIndividual,
    Yardstick,
    individual_of,
    without_alpha,
)
from medarts_ops.known_work import Known
from medarts_ops.objectives.measuring import MeasuringContext
from medarts_ops.objectives.registry import are_timed, evaluate_individual, params
from medarts_ops.observers import (
    EpochFinished,
    IndividualFinished,
    PopulationBorn,
    PopulationPruned,
    SearchEvent,
    StageStarted,
)
from medarts_ops.population_reading import consensus_candidate
from medarts_ops.short_trainings import ShortTrainings
from medarts_ops.tasks import TrainingTask, stacks_of

CHECKPOINTS = "checkpoints"  # folder of a search that holds the individuals in training


class TrainingRounds:
    """Trains and measures populations of a search, one after the other; `tell` takes every event.

    Stage images and checkpoints are written to `folder`; what is `known` is not trained again. With a `deadline` epochs
    end early where they must.
    """

    def __init__(
        self,
        config: ResolvedSearchConfig,
        folder: Path,
        data: SearchData,
        executor: Executor,
        known: Known,
        tell: Callable[[SearchEvent], None],
        deadline: SearchDeadline | None = None,
    ) -> None:
        self._config, self._folder, self._data, self._deadline = config, folder, data, deadline
        self._executor, self.known, self._tell = executor, known, tell
        self._told_epochs: set[str] = set()
        self._short_trainings = None
        if data.derived is not None:
            checkpoints = folder / CHECKPOINTS
            self._short_trainings = ShortTrainings(
                config, folder, checkpoints, data.derived, executor, known.derived, tell, deadline
            )
        # Who is compared with the rest of the population before it is measured is not told of alone.
        compares_candidates = config.candidates != "last" or config.consensus_candidate or deadline is not None
        self._measures_together = data.derived is not None or compares_candidates
        self._context = MeasuringContext(
            para_aug=config.para_aug,
            n_classes=len(data.summary.class_names),
            in_channels=data.summary.in_channels,
            resolution=data.summary.resolution,
        )

    def has_time_for(self, index: int) -> bool:
        """Whether a stage can begin, or began before, rather than that the time of the search is over."""
        return self._deadline is None or (index, 0) in self.known.populations or self._deadline.has_time_for(index)

    def begin_stage(self, index: int, chosen: Sequence[RankedIndividual]) -> None:
        """Tell that a stage begins, with those `chosen` from the one before, and write its images for its tasks."""
        name, data = self._config.stages[index].name, self._data.stages[index]
        survivors, yardstick = tuple(ranked.id for ranked in chosen), self.yardstick(index)
        images = len(data.images)
        self._tell(StageStarted(index=index, name=name, survivors=survivors, images=images, yardstick=yardstick))
        data.save(self._stage_data(index))
        if self._short_trainings is not None:
            self._short_trainings.begin_stage(index)

    def yardstick(self, index: int) -> Yardstick:
        """What acc_valid of a stage's individuals is held against."""
        return self._data.stages[index].yardstick(self._config.stages[index].batch)

    @property
    def genotypes_yardstick(self) -> Yardstick | None:
        """What the accuracies of genotypes' short trainings are held against, where there are such."""
        return None if self._data.derived is None else self._data.derived.yardstick(self._config.derived.batch)

    def train(self, stage: int, round: int, population: Sequence[Individual]) -> list[Ended]:
        """Train and measure a population; in its own order, whatever the order in which outcomes came.

        Where the config prunes it, its worst are ended on the way. Who failed by no fault of its own is trained again,
        as often as the config's `retries` says.
        """
        self._tell(PopulationBorn(stage=stage, round=round, individuals=tuple(population)))
        tasks, measured = self._tasks(stage, population), dict[str, Ended]()
        prune = self._config.prune
        if prune.kept(self._config.stages[stage]) < len(population):
            begun = [task.model_copy(update={"until": prune.after}) for task in tasks]
            kept = self._prune(stage, round, begun, measured)
            tasks = [rest for task in begun if (rest := task.going_on(kept)) is not None]
        left = [individual for individual in population if individual.id not in measured]
        self._train_to_the_end(stage, round, left, tasks, measured)
        shutil.rmtree(self._folder / CHECKPOINTS, ignore_errors=True)  # it is known what came of them
        return [measured[individual.id] for individual in population]

    def _train_to_the_end(
        self,
        stage: int,
        round: int,
        population: Sequence[Individual],
        tasks: Sequence[TrainingTask],
        measured: dict[str, Ended],
    ) -> None:
        outcomes: dict[str, Outcome] = {}
        # Who is measured together is known together: until then checkpoints stand for what was trained.
        all_known = self.known.outcomes.keys() >= {individual.id for individual in population}
        for individual in population if all_known or not self._measures_together else ():
            self._answer_from_known(individual, outcomes, measured)
        for outcome in self._new_outcomes(stage, round, tasks, outcomes):
            self._trained(outcome, measured)
        if self._measures_together and not all_known:
            self._measure_together(stage, [outcomes[individual.id] for individual in population], measured)
        if self._deadline is not None:
            self._deadline.trained(stage, list(outcomes.values()))

    def _new_outcomes(
        self, stage: int, round: int, tasks: Sequence[TrainingTask], outcomes: dict[str, Outcome]
    ) -> Iterator[Outcome]:
        """Carry out tasks of which something is left to do; what comes of them goes into `outcomes`, too."""

        def left() -> Sequence[TrainingTask]:
            return self._limited(stage, round, [task for task in tasks if not outcomes.keys() >= set(task.names)])

        for outcome in with_retries(self._run, left, self._config.retries):
            if outcome.individual.id not in outcomes:  # or it is of a stack that was trained again for another's sake
                outcomes[outcome.individual.id] = outcome
                yield outcome

    def _prune(
        self, stage: int, round: int, begun: Sequence[TrainingTask], measured: dict[str, Ended]
    ) -> tuple[str, ...]:
        """Carry out a population's first tasks, and compare it; ids of those that go on. The others are `measured`."""
        event = self.known.pruned.get((stage, round))
        going_on = () if event is None else event.kept
        failed: dict[str, Outcome] = {}
        for individual in (individual for task in begun for individual in task.individuals):
            known = self.known.outcomes.get(individual.id)
            if isinstance(known, FailedIndividual) and individual.id not in going_on:
                failed[individual.id] = known
                self._finish(known, measured)
        if event is None:
            event = self._compared(stage, round, begun, failed, measured)
        else:
            for pruned in event.pruned:
                for record in pruned.history:
                    self._on_epoch(pruned.individual, record)
        measured |= {pruned.individual.id: pruned for pruned in event.pruned}
        self._tell(event)
        return event.kept

    def _compared(
        self,
        stage: int,
        round: int,
        begun: Sequence[TrainingTask],
        failed: dict[str, Outcome],
        measured: dict[str, Ended],
    ) -> PopulationPruned:
        """What the comparison of a population gives; who can't be measured has failed, as who could not be trained."""
        objectives, evaluated = compared_early(self._config.objectives), []
        for outcome in self._new_outcomes(stage, round, begun, failed):
            one: Measured
            if isinstance(outcome, FailedIndividual):
                one = outcome
            else:
                one = evaluate_individual(outcome, objectives, self._context)
            if isinstance(one, EvaluatedIndividual):
                evaluated.append(one)
            else:
                self._finish(one, measured)
        kept = self._config.prune.kept(self._config.stages[stage])
        going_on, pruned = pruned_population(evaluated, objectives, kept)
        return PopulationPruned(stage=stage, round=round, kept=going_on, pruned=pruned)

    def seconds_of_genotypes(self, stage: int) -> float:
        """What short trainings of genotypes took in that stage."""
        return 0.0 if self._short_trainings is None else self._short_trainings.seconds(stage)

    def _answer_from_known(
        self, individual: Individual, outcomes: dict[str, Outcome], measured: dict[str, Ended]
    ) -> None:
        known = self.known.outcomes.get(individual.id)
        if known is None:
            return
        if isinstance(known, EvaluatedIndividual):
            for record in known.trained.history:
                self._on_epoch(individual, record)
        outcomes[individual.id] = known.trained if isinstance(known, EvaluatedIndividual) else known
        self._finish(known, measured)

    def _finish(self, outcome: Measured, measured: dict[str, Ended]) -> None:
        measured[individual_of(outcome).id] = outcome
        self._tell(IndividualFinished(outcome=outcome))

    def _run(self, tasks: Sequence[TrainingTask]) -> Iterable[Outcome]:
        found: Iterable[Outcome] = self._executor.run(tasks, self._on_epoch)
        # A clock is read when nothing trains beside it.
        waits = self._config.runtime.workers > 1 and are_timed(self._config.objectives)
        return list(found) if waits else found

    def _trained(self, outcome: Outcome, measured: dict[str, Ended]) -> None:
        if isinstance(outcome, FailedIndividual):
            self._finish(outcome, measured)
        elif not self._measures_together:
            self._finish(self._evaluated(outcome), measured)

    def _evaluated(self, trained: TrainedIndividual) -> Measured:
        return evaluate_individual(trained, self._config.objectives, self._context)

    def _measure_together(self, stage: int, outcomes: Sequence[Outcome], measured: dict[str, Ended]) -> None:
        """Measure all candidates of a population, after their genotypes' short trainings, and finish each by its best.

        An individual of which no candidate can be measured has failed as its last epoch's did.
        """
        trained = [outcome for outcome in outcomes if isinstance(outcome, TrainedIndividual)]
        if self._deadline is not None:
            trained = after_equal_epochs(trained)
        params_of = partial(params, context=self._context)
        candidates = [candidate for each in trained for candidate in candidates_of(each, self._config, params_of)]
        if self._config.consensus_candidate and (mean := consensus_candidate(stage, trained, self._config)):
            candidates.append(mean)
        if self._short_trainings is not None:
            trainings = self._short_trainings.of(stage, [candidate.genotype for candidate in candidates])
            tried = [
                self._evaluated_with(candidate, trainings[candidate.genotype.identity]) for candidate in candidates
            ]
        else:
            tried = [self._evaluated(each) for each in candidates]
        best = best_of_each([one for one in tried if isinstance(one, EvaluatedIndividual)], self._config)
        for one in tried:
            name = individual_of(one).id
            if name not in measured:
                self._finish(best.get(name, one), measured)

    def _evaluated_with(self, trained: TrainedIndividual, derived: DerivedOutcome) -> Measured:
        individual = trained.individual
        if isinstance(derived, FailedDerivedTraining):
            reason = f"individual {individual.id}: {derived.reason}"
            return FailedIndividual(individual=individual, reason=reason, cause=derived.cause, seconds=trained.seconds)
        return self._evaluated(trained.model_copy(update={"derived": derived}))

    def _tasks(self, stage: int, population: Sequence[Individual]) -> list[TrainingTask]:
        """Groups as large as a stack."""
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
        ]

    def _limited(self, stage: int, round: int, tasks: Sequence[TrainingTask]) -> Sequence[TrainingTask]:
        """All tasks that are left of a stage's round, each with its part of the time."""
        if self._deadline is None:
            return tasks
        limits = self._deadline.seconds_of_groups(stage, round, [task.individuals for task in tasks])
        return [task.model_copy(update={"seconds": limit}) for task, limit in zip(tasks, limits, strict=True)]

    def _on_epoch(self, individual: Individual, record: EpochRecord) -> None:
        # α of an epoch is told once, with all others when the individual has finished: a journal would hold it often.
        event = EpochFinished(individual_id=individual.id, record=without_alpha(record))
        if event.key not in self._told_epochs:  # a second task tells again what the first one did
            self._told_epochs.add(event.key)
            self._tell(event)

    def _stage_data(self, stage: int) -> Path:
        return self._folder / f"stage-{stage}.npz"
