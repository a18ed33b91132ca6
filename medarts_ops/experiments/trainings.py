"""The trainings of an experiment at work: answered from before, gone on with, or trained; each is a job of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.errors import MedartsError, NoSurvivors, SearchError
from medarts_ops.evaluation import evaluation_started, resume_evaluation
from medarts_ops.executors.registry import build_executor
from medarts_ops.experiment import (
    PARAMETERS,
    TEST_ERROR,
    ExperimentEvent,
    ExperimentPlan,
    ExperimentStarted,
    FailedTraining,
    FinishedTraining,
    Training,
    TrainingFinished,
    TrainingOutcome,
    TrainingUnreadable,
)
from medarts_ops.experiments.evaluations import EvaluationEnd, PlannedEvaluation, train_side_by_side
from medarts_ops.experiments.tracker import TrainingTracker
from medarts_ops.fitting import evaluations_at_a_time
from medarts_ops.individual import EvaluationResult, SearchResult
from medarts_ops.journal.job import Job, is_unfinished, kind_in, read_journal, tell_again
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import KINDS, SEARCH
from medarts_ops.observers import SearchFinished
from medarts_ops.resolving import resolve_search_config
from medarts_ops.search import resume_search, run_search
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.genotype import FailedEvaluation


def job_name(experiment: str, training: Training) -> str:
    """The name of a training's job."""
    return f"{experiment}.{training.key}"


class Trainings:
    """The trainings of one experiment at work."""

    def __init__(
        self,
        job: Job[ExperimentEvent, ExperimentStarted],
        folder: Path,
        plan: ExperimentPlan,
        tracker: TrainingTracker,
    ) -> None:
        self._job, self._folder, self._plan, self._tracker = job, folder, plan, tracker
        self._outcomes: dict[str, TrainingOutcome] = {}
        self._repeated = plan.repeated
        self._unreadable: dict[str, FailedTraining] = {}

    def carry_out(self) -> None:
        """Answer each training from the journal or from before, and train the others.

        Raises:
            SearchError: after that, one that was begun can't be read, so that the experiment can't end yet.
        """
        for training in self._plan.trainings:
            event = self._job.journal.find(TrainingFinished, training.key)
            if event is not None and training.key not in self._outcomes:
                self._finished(event.outcome)
        for training in self._open("search"):
            self._finished(self._search(training))
        evaluations: dict[ResolvedRuntime, list[Training]] = {}
        for training in self._open("evaluation"):
            evaluations.setdefault(training.evaluate_config.runtime, []).append(training)
        for runtime, trainings in evaluations.items():
            self._evaluate(runtime, trainings)
        if self._unreadable:
            of = f"{len(self._unreadable)} of {len(self._plan.trainings)} trainings"
            reasons = "; ".join(f"{one.key}: {one.reason}" for one in self._unreadable.values())
            raise SearchError(f"{of} can't go on, all others are done: {reasons}")

    def _open(self, kind: str) -> list[Training]:
        """Those of a kind of which there is no outcome, after all that were taken over from before."""
        left: list[Training] = []
        for training in self._plan.trainings:
            if training.kind != kind or training.key in {*self._outcomes, *self._repeated}:
                continue
            if (failed := self._unread(training)) is not None:
                self._unreadable[training.key] = failed
                self._job.notify(TrainingUnreadable(outcome=failed))
                continue
            known = self._answered(training)
            if known is None:
                left.append(training)
            else:
                self._finished(known)
        return left

    def _unread(self, training: Training) -> FailedTraining | None:
        """Why a training that was begun here can't go on; None if it can, or was not begun."""
        searched, folder = training.found_by, self._folder_of(training)
        if searched is not None and searched.key in self._unreadable:
            return FailedTraining(key=training.key, reason="its search can't go on", cause="crashed")
        if kind_in(folder) is None:
            return None
        try:
            _ = read_journal(folder, KINDS[training.kind]).started
        except MedartsError as error:
            anew = f"or remove {str(folder)!r}, and `medarts resume {self._folder.name}` trains it anew"
            return FailedTraining(key=training.key, reason=f"{error}; {anew}", cause="crashed")
        return None

    def _answered(self, training: Training) -> TrainingOutcome | None:
        searched = training.found_by
        if searched is not None and isinstance(self._outcomes[searched.key], FailedTraining):
            return FailedTraining(key=training.key, reason="its search found nothing", cause="crashed")
        if kind_in(self._folder_of(training)) is not None:  # begun here: it goes on
            return None
        return self._tracker.known(training, None if training.kind == "search" else self._genotype(training))

    def _finished(self, outcome: TrainingOutcome) -> None:
        self._outcomes[outcome.key] = outcome
        self._job.notify(TrainingFinished(outcome=outcome))
        for key in [each for each, first in self._repeated.items() if first == outcome.key]:
            same = {} if isinstance(outcome, FailedTraining) else {"same_as": outcome.key}
            self._outcomes[key] = outcome.model_copy(update={"key": key, **same})
            self._job.notify(TrainingFinished(outcome=self._outcomes[key]))

    def _folder_of(self, training: Training) -> Path:
        return self._folder.parent / job_name(self._folder.name, training)

    def _genotype(self, training: Training) -> Genotype:
        """What an evaluation trains."""
        searched = training.found_by
        found = training.arm.genotype
        if searched is not None:
            outcome = self._outcomes[searched.key]
            assert isinstance(outcome, FinishedTraining), "an evaluation whose search failed is answered before"
            found = outcome.genotype
        assert found is not None, "an arm without a search has a genotype"
        return found

    def _search(self, training: Training) -> TrainingOutcome:
        folder = self._folder_of(training)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            result = _searched(training, folder, self._tracker)
        except NoSurvivors as error:
            return FailedTraining(key=training.key, reason=str(error), cause="crashed")
        best = result.best
        return FinishedTraining(
            key=training.key,
            measures=best.evaluated.objectives,
            seconds=result.seconds,
            genotype=best.trained.genotype,
        )

    def _evaluate(self, runtime: ResolvedRuntime, trainings: Sequence[Training]) -> None:
        # Those on the same images one after the other: a process keeps what it loaded last.
        in_order = sorted(trainings, key=lambda training: training.evaluate_config.dataset.model_dump_json())
        by_folder = {self._folder_of(training): training for training in in_order}
        planned = []
        for folder, training in by_folder.items():
            if kind_in(folder) is not None and not is_unfinished(folder):  # killed before this journal had it
                observers = self._tracker.evaluation(training, folder)
                self._finished(_outcome(training, resume_evaluation(folder, observers=observers)))
                continue
            started = evaluation_started(
                training.evaluate_config, self._genotype(training), self._plan.datasets[training.arm.fingerprint]
            )
            planned.append(PlannedEvaluation(started, folder, partial(self._tracker.evaluation, training, folder)))

        crashed: list[PlannedEvaluation] = []

        def on_end(folder: Path, end: EvaluationEnd) -> None:
            if isinstance(end, FailedEvaluation) and end.cause == "crashed" and not crashed_before:
                crashed.append(next(one for one in planned if one.folder == folder))
            else:
                self._finished(_outcome(by_folder[folder], end))

        # Whose process died, for want of memory say, is tried once more, from its checkpoint and beside fewer others.
        for crashed_before in (False, True):
            waiting = crashed if crashed_before else planned
            workers = evaluations_at_a_time(
                [one.started for one in waiting], most=min(self._plan.workers, len(waiting))
            )
            if waiting:
                with closing(build_executor(runtime.side_by_side(workers))) as executor:
                    train_side_by_side(waiting, executor, on_end)


def _searched(training: Training, folder: Path, tracker: TrainingTracker) -> SearchResult:
    """The result of a search, begun, gone on with, or told again."""
    if kind_in(folder) is None:
        config, data = resolve_search_config(training.search_config)
        proposer, observers = tracker.search(training, folder, config, data.summary)
        return run_search(config, folder, data=data, proposer=proposer, observers=observers)
    journal = Journal.open(folder, SEARCH)
    started, finished = journal.started, journal.find(SearchFinished)
    proposer, observers = tracker.search(training, folder, started.config, started.dataset)
    if finished is None:
        return resume_search(folder, proposer=proposer, observers=observers)
    tell_again(journal, folder, observers)
    return finished.result


def _outcome(training: Training, end: EvaluationEnd) -> TrainingOutcome:
    if not isinstance(end, EvaluationResult):
        return FailedTraining(key=training.key, reason=end.reason, cause=end.cause)
    best = {} if end.best_test_error is None else {"best_test_error": end.best_test_error}
    measures = {TEST_ERROR: end.test_error, **best, PARAMETERS: float(end.parameters)}
    return FinishedTraining(key=training.key, measures=measures, seconds=end.seconds, genotype=end.genotype)
