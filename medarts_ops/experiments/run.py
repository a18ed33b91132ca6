"""An experiment as a job: each of its trainings is a job of its own, in a folder beside the experiment's.

Searches come first, one after the other, each with its own workers; then evaluations, several side by side. What is
finished is never trained again, what was cut off goes on from its own journal and checkpoint, and what fails leaves the
others alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from medarts_ops.config_runtime import ResolvedRuntime, ResolvedSearchRuntime
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import NoSurvivors
from medarts_ops.evaluation import evaluation_started, resume_evaluation
from medarts_ops.executors.registry import build_executor
from medarts_ops.experiment import (
    PARAMETERS,
    TEST_ERROR,
    ExperimentEvent,
    ExperimentFinished,
    ExperimentObserver,
    ExperimentPlan,
    ExperimentResult,
    ExperimentStarted,
    FailedTraining,
    FinishedTraining,
    Training,
    TrainingFinished,
    TrainingOutcome,
)
from medarts_ops.experiments.evaluations import EvaluationEnd, PlannedEvaluation, train_side_by_side
from medarts_ops.experiments.tracker import TrainingTracker, Untracked
from medarts_ops.individual import EvaluationResult, SearchResult
from medarts_ops.journal.folder import check_name_is_free_in
from medarts_ops.journal.job import Job, check_images, is_unfinished, kind_in, new_job, resumed_job, tell_again
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EXPERIMENT, SEARCH
from medarts_ops.observers import SearchFinished
from medarts_ops.reproducibility import process_started
from medarts_ops.resolving import resolve_search_config
from medarts_ops.search import resume_search, run_search
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.genotype import FailedEvaluation


def run_experiment(
    plan: ExperimentPlan,
    folder: str | Path,
    *,
    observers: Sequence[ExperimentObserver] = (),
    tracker: TrainingTracker | None = None,
) -> ExperimentResult:
    """Train all that a plan holds; a training that fails is an outcome like others.

    Args:
        folder: an empty folder, or one that is made, whose name is the experiment's: its journal is written there. Each
            training's own folder lies beside it, named `<experiment>.<key of the training>`.
        observers: told of every event, after the journal.
        tracker: who is told of the trainings, and knows equal ones of before.

    Raises:
        MedartsError: data that can't be read, a name that is taken, a full disk.
    """
    folder = Path(folder)
    for training in plan.trainings:
        check_name_is_free_in(folder.parent, job_name(folder.name, training))
    with new_job(EXPERIMENT, folder, observers) as job:
        return _carry_out(job, folder, plan, tracker or Untracked())


def resume_experiment(
    folder: str | Path, *, observers: Sequence[ExperimentObserver] = (), tracker: TrainingTracker | None = None
) -> ExperimentResult:
    """Go on with an experiment that was stopped or killed; what it finished is told once more, and not trained again.

    On a CPU what it measures is what one that was never stopped does, bit for bit. One that is finished is only told
    again. Arguments are those of `run_experiment`.

    Raises:
        SearchError: there is no experiment in the folder, or another process works on it.
        DataError: the images are not those that it began with.
        MedartsError: as for `run_experiment`.
    """
    folder = Path(folder)
    with resumed_job(EXPERIMENT, folder, observers) as job:
        plan = job.journal.started.plan
        if job.journal.find(ExperimentFinished) is not None:
            tell_again(job.journal, folder, observers)
            return result_of(job.journal)
        _check_images(folder.name, plan)
        return _carry_out(job, folder, plan, tracker or Untracked())


def job_name(experiment: str, training: Training) -> str:
    """The name of a training's job."""
    return f"{experiment}.{training.key}"


def result_of(journal: Journal[ExperimentEvent, ExperimentStarted]) -> ExperimentResult:
    """What an experiment came to, or as far as it came."""
    plan = journal.started.plan
    found = (journal.find(TrainingFinished, training.key) for training in plan.trainings)
    outcomes = tuple(event.outcome for event in found if event is not None)
    return ExperimentResult(name=journal.name, plan=plan, outcomes=outcomes)


def _carry_out(
    job: Job[ExperimentEvent, ExperimentStarted], folder: Path, plan: ExperimentPlan, tracker: TrainingTracker
) -> ExperimentResult:
    job.begin(ExperimentStarted(plan=plan))
    first = plan.trainings[0]
    config = first.search_config if first.kind == "search" else first.evaluate_config
    job.notify(process_started(config, plan.datasets[first.arm.fingerprint]))
    try:
        _Trainings(job, folder, plan, tracker).carry_out()
    finally:
        _remove_folders_without_a_job(folder, plan)
    job.notify(ExperimentFinished())
    return result_of(job.journal)


class _Trainings:
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

    def carry_out(self) -> None:
        """Answer each training from the journal or from before, and train the others."""
        for training in self._plan.trainings:
            event = self._job.journal.find(TrainingFinished, training.key)
            if event is not None:
                self._finished(event.outcome)
        for training in self._open("search"):
            self._finished(self._search(training))
        evaluations: dict[ResolvedRuntime, list[Training]] = {}
        for training in self._open("evaluation"):
            evaluations.setdefault(training.evaluate_config.runtime, []).append(training)
        for runtime, trainings in evaluations.items():
            self._evaluate(runtime, trainings)

    def _open(self, kind: str) -> list[Training]:
        """Those of a kind of which there is no outcome, after all that were taken over from before."""
        left: list[Training] = []
        for training in self._plan.trainings:
            if training.kind != kind or training.key in self._outcomes:
                continue
            known = self._answered(training)
            if known is None:
                left.append(training)
            else:
                self._finished(known)
        return left

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
            workers = min(self._plan.workers, len(waiting))
            if waiting:
                with closing(build_executor(_side_by_side(runtime, workers))) as executor:
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
    measures = {TEST_ERROR: end.test_error, "best_test_error": end.best_test_error, PARAMETERS: float(end.parameters)}
    return FinishedTraining(key=training.key, measures=measures, seconds=end.seconds, genotype=end.genotype)


def _side_by_side(runtime: ResolvedRuntime, workers: int) -> ResolvedSearchRuntime:
    """An evaluation's runtime, several times side by side."""
    more = {"workers": workers, "stack": 1, "cuda_graphs": "off", "executor": "auto"}
    return ResolvedSearchRuntime.model_validate(dict(runtime) | more)


def _check_images(name: str, plan: ExperimentPlan) -> None:
    """Refuse, by a DataError, to go on with other images than those that the experiment began with."""
    for fingerprint, config in {arm.fingerprint: arm.dataset for arm in plan.arms}.items():
        check_images(f"experiment {name!r}", plan.datasets[fingerprint], load_dataset(config).summary(None))


def _remove_folders_without_a_job(folder: Path, plan: ExperimentPlan) -> None:
    """Nothing half-made stays: a training that never began leaves no folder."""
    for training in plan.trainings:
        own = folder.parent / job_name(folder.name, training)
        if own.is_dir() and kind_in(own) is None:
            shutil.rmtree(own, ignore_errors=True)
