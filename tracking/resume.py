"""Going on with a tracked job: the core's resume composed with MLflow and Optuna."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.errors import SearchError
from medarts_ops.evaluation import resume_evaluation
from medarts_ops.experiment import ExperimentEvent, ExperimentObserver
from medarts_ops.experiments.run import resume_experiment
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EXPERIMENT, SEARCH
from medarts_ops.observers import (
    EvaluationEvent,
    EvaluationObserver,
    IndividualFinished,
    SearchEvent,
    SearchObserver,
)
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.proposal_outcomes import PatientProposer
from medarts_ops.search import resume_search
from medarts_ops.tracking.evaluation import TrackedEvaluation, finished_evaluation
from medarts_ops.tracking.experiment import OnTraining, TrackedExperiment, TrackedTrainings, finished_experiment
from medarts_ops.tracking.reading.jobs import Job, find_job, home_of
from medarts_ops.tracking.reading.kept_journal import restore_journal
from medarts_ops.tracking.recorders import (
    evaluation_home,
    evaluation_recorder,
    experiment_recorder,
    search_recorder,
)
from medarts_ops.tracking.search import TrackedSearch, finished_search
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.vocabulary import JobKind

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)


def resumed_search(
    search: str | Job,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    observers: Sequence[SearchObserver] = (),
) -> TrackedSearch:
    """Go on with a search that was stopped or killed, in its own runs and studies.

    Where its folder is gone (another machine, a new container), it goes on from the journal that its run keeps: what
    was finished is taken over, individuals in training begin again.

    Args:
        search: the search's name, the id of its run or of one below it, or the job that was found.
        tracking_uri, experiment, storage, work_dir: the places that it began with.
        pictures: log pictures and the report, too.
        system_metrics: log how busy the machine is while the job runs, too, on the job's own run.
        observers: told of every event, after MLflow; of those that happened before, too.

    Raises:
        SearchError: no folder of that search and no journal in its run, one that is finished, or one that another
            process works on.
        RunError: no such run.
        MedartsError: as for `tracked_search`.
    """
    job = find_job(search, tracking_uri=tracking_uri, experiment=experiment, work_dir=Path(work_dir))
    _check_kind(job, "search")
    store = home_of(job.opened_store(create=job.is_here), "search", job.name)
    if not job.is_here:
        _restore(job, store)
    started = Journal.open(job.folder, SEARCH).started
    studies = open_study_storage(storage)
    recorder = search_recorder(
        store, studies, job.folder, started.config, started.dataset, pictures=pictures, system_metrics=system_metrics
    )
    patient, proposer = PatientObserver[SearchEvent](recorder.observer), PatientProposer(recorder.proposer)
    result = resume_search(job.folder, proposer=proposer, observers=(patient, *observers))
    return finished_search(result, recorder, patient.waiting)


def resumed_experiment(
    given: str | Job,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    observers: Sequence[ExperimentObserver] = (),
    on_training: OnTraining | None = None,
) -> TrackedExperiment:
    """Go on with an experiment that was stopped or killed, in its own runs. One that is finished is told again.

    Args:
        given: its name, its run's id, or the job that was found.
        tracking_uri, experiment, storage, work_dir: the places that it began with.
        pictures, system_metrics, observers, on_training: as for `tracked_experiment`.

    Raises:
        SearchError: no folder of that experiment, or one that another process works on.
        RunError: no such run.
        MedartsError: as for `tracked_experiment`.
    """
    job = find_job(given, tracking_uri=tracking_uri, experiment=experiment, work_dir=Path(work_dir))
    _check_kind(job, "experiment")
    if not job.is_here:
        raise SearchError(
            f"experiment {job.name!r} has no folder in {str(job.work_dir)!r}: --work-dir names where it was started, "
            "or begin it anew, which takes over the trainings that the store has"
        )
    store = home_of(job.opened_store(create=True), "experiment", job.name)
    plan = Journal.open(job.folder, EXPERIMENT).started.plan
    recorder = experiment_recorder(store, job.folder, pictures=pictures, system_metrics=system_metrics)
    patient = PatientObserver[ExperimentEvent](recorder.observer)
    tracker = TrackedTrainings(store, plan, recorder, storage, on_training)
    result = resume_experiment(job.folder, observers=(patient, *observers), tracker=tracker)
    return finished_experiment(result, recorder, tracker, patient.waiting)


def _restore(job: Job, store: RunStore) -> None:
    assert job.run is not None, "a search without a folder was found through its run"
    folder = restore_journal(store, job.run.run_id, job.work_dir, job.name)
    done = sum(isinstance(event, IndividualFinished) for _, event in Journal.open(folder, SEARCH).events())
    _logger.warning(
        "search %s has no folder in %s: it goes on from the %d finished individuals that its run keeps, and what was "
        "in training begins again",
        *(job.name, job.work_dir, done),
    )


def resumed_evaluation(
    evaluation: str | Job,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    observers: Sequence[EvaluationObserver] = (),
    devices: int | None = None,
) -> TrackedEvaluation:
    """Go on with an evaluation that was stopped or killed, in its own run. One that is finished is told again.

    Args:
        evaluation: its name, its run's id, or the job that was found.
        tracking_uri, experiment, work_dir: the places that it began with.
        pictures: log pictures, and the report of the search anew, too.
        system_metrics: log how busy the machine is while the job runs, too, on the job's own run.
        observers: told of every event, after MLflow; of those that happened before, too.
        devices: how many go on with it, instead of as many as it began with.

    Raises:
        SearchError: no folder of that evaluation, or one that another process works on.
        RunError: no such run.
        MedartsError: as for `tracked_evaluation`.
    """
    job = find_job(evaluation, tracking_uri=tracking_uri, experiment=experiment, work_dir=Path(work_dir))
    _check_kind(job, "evaluation")
    if not job.is_here:
        raise SearchError(
            f"evaluation {job.name!r} has no folder in {str(job.work_dir)!r}, and no other place keeps its weights: "
            "--work-dir names where it was started, or evaluate again"
        )
    store = evaluation_home(job.opened_store(create=True), job.folder)
    recorder = evaluation_recorder(store, job.folder, pictures=pictures, system_metrics=system_metrics)
    patient = PatientObserver[EvaluationEvent](recorder.observer)
    result = resume_evaluation(job.folder, observers=(patient, *observers), devices=devices)
    return finished_evaluation(result, job.name, recorder, patient.waiting)


def _check_kind(job: Job, kind: JobKind) -> None:
    """Raise a SearchError that says what goes on with a job of another kind."""
    if job.kind != kind:
        raise SearchError(f"{job.name!r} is of kind {job.kind}, not {kind}: `resumed_{job.kind}` goes on with it")
