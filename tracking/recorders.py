"""Who writes a job down: what a search, an evaluation and an experiment tell their stores through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from optuna.storages import BaseStorage

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.experiment import ExperimentEvent, ExperimentFinished, ExperimentObserver
from medarts_ops.observers import (
    DatasetSummary,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationObserver,
    Event,
    FanOut,
    SearchEvent,
    SearchFinished,
    SearchObserver,
    StageFinished,
)
from medarts_ops.proposal_outcomes import ProposalRecorder
from medarts_ops.proposers import Proposer
from medarts_ops.tracking.place import place_in, place_of_search, read_place
from medarts_ops.tracking.reading.jobs import home_of
from medarts_ops.tracking.runs.completed_store import CompletedStore
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.runs.experiment_runs import MlflowExperimentObserver
from medarts_ops.tracking.runs.job_observer import JobObserver
from medarts_ops.tracking.runs.journal_copy import JournalCopy
from medarts_ops.tracking.runs.picture_log import SearchPictures, log_evaluation_pictures, log_experiment_pictures
from medarts_ops.tracking.runs.report_log import log_experiment_report, renew_report
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.runs.system_metrics import SystemMetrics
from medarts_ops.tracking.studies import stage_record
from medarts_ops.tracking.studies.proposer import make_proposer

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class SearchRecorder(NamedTuple):
    """Who writes a search down: `observer` is told its events, `mlflow` knows its runs, `proposer` its study."""

    observer: FanOut[SearchEvent]
    mlflow: MlflowSearchObserver
    proposer: Proposer


class EvaluationRecorder(NamedTuple):
    """Who writes an evaluation down: `observer` is told its events, `mlflow` knows its run."""

    observer: FanOut[EvaluationEvent]
    mlflow: MlflowEvaluationObserver


class ExperimentRecorder(NamedTuple):
    """Who writes an experiment down: `observer` is told its events, `mlflow` knows its run and what came of it."""

    observer: FanOut[ExperimentEvent]
    mlflow: MlflowExperimentObserver


@dataclass(frozen=True)
class When(Generic[Event]):
    """An observer that calls a function with each event of one kind."""

    kind: type[Event]
    call: Callable[[Event], None]

    def notify(self, event: object) -> None:
        """Take note of one event."""
        if isinstance(event, self.kind):
            self.call(event)


def search_recorder(
    store: RunStore,
    studies: BaseStorage,
    folder: Path,
    config: ResolvedSearchConfig,
    dataset: DatasetSummary,
    *,
    pictures: bool,
    system_metrics: bool = False,
    completed: CompletedStore | None = None,
) -> SearchRecorder:
    """Whoever writes a search down, in order: the others' records and pictures belong to runs that MLflow has made.

    Its runs go into `store`, its studies into `studies`; its `folder` bears its name. With `pictures` the report is
    logged, too, with `system_metrics` how busy the machine is. A search that does not go on is told to `completed`,
    which is of that store: its runs get what they lack, and stay stopped.

    Raises:
        ConfigError: the study of its proposals was filled under other settings.
        StoreError: a store failed.
    """
    writer = completed or store
    place = place_of_search(folder)
    if place.experiment is not None:
        place = place_in(writer, place)
    mlflow = MlflowSearchObserver(writer, parent_run_id=place.parent_run_id, tags=place.tags, reopens=completed is None)
    proposer = make_proposer(config, folder.name, studies, dataset)

    def record(event: StageFinished) -> None:
        stage = mlflow.stage_run_id(event.result.index)
        stage_record.record_stage(studies, folder.name, event.result, config, mlflow.run_id_of, stage)

    def report(event: SearchFinished) -> None:
        renew_report(store, mlflow.run_id, folder.parent, completed)

    observers: list[SearchObserver] = [mlflow, *_measuring(store, mlflow, system_metrics)]
    observers += [
        JournalCopy(writer, folder, lambda: mlflow.run_id),
        ProposalRecorder(proposer),
        When(StageFinished, record),
    ]
    if pictures:
        observers += [SearchPictures(writer, mlflow), When(SearchFinished, report)]
    return SearchRecorder(FanOut[SearchEvent](observers), mlflow, proposer)


def evaluation_recorder(
    store: RunStore,
    folder: Path,
    *,
    pictures: bool,
    system_metrics: bool = False,
    completed: CompletedStore | None = None,
) -> EvaluationRecorder:
    """Whoever writes an evaluation down, below the runs that its folder names, in order as for `search_recorder`.

    To a `completed` store, which may have been lost and filled anew, the runs are those of the names in the folder.

    Raises:
        SearchError: the folder does not say where the evaluation's run belongs.
        StoreError: the store failed.
    """
    place = read_place(folder)
    writer = completed or store
    if completed is not None or place.experiment is not None:
        place = place_in(writer, place)
    search = place.search_run_id
    mlflow = MlflowEvaluationObserver(
        writer, folder.name, parent_run_id=place.parent_run_id, tags=place.tags, reopens=completed is None
    )

    def draw(event: EvaluationFinished) -> None:
        log_evaluation_pictures(writer, mlflow, folder.name, event)
        if search is not None:
            renew_report(store, search, folder.parent, completed)

    observers: list[EvaluationObserver] = [mlflow, *_measuring(store, mlflow, system_metrics)]
    if pictures:
        observers.append(When(EvaluationFinished, draw))
    return EvaluationRecorder(FanOut[EvaluationEvent](observers), mlflow)


def experiment_recorder(
    store: RunStore,
    folder: Path,
    *,
    pictures: bool,
    system_metrics: bool = False,
    completed: CompletedStore | None = None,
) -> ExperimentRecorder:
    """Whoever writes an experiment down, whose `folder` bears its name, in order as for `search_recorder`.

    Raises:
        StoreError: the store failed.
    """
    writer = completed or store
    mlflow = MlflowExperimentObserver(writer, folder.name, reopens=completed is None)

    def draw(event: ExperimentFinished) -> None:
        log_experiment_pictures(writer, mlflow)
        log_experiment_report(store, mlflow, completed)

    observers: list[ExperimentObserver] = [mlflow, *_measuring(store, mlflow, system_metrics)]
    if pictures:
        observers.append(When(ExperimentFinished, draw))
    return ExperimentRecorder(FanOut[ExperimentEvent](observers), mlflow)


def _measuring(store: RunStore, job: JobObserver[Any, Any], wanted: bool) -> list[SystemMetrics]:
    return [SystemMetrics(store.uri, lambda: job.known_run_id)] if wanted else []


def evaluation_home(store: RunStore, folder: Path) -> RunStore:
    """The store for the experiment of the search that an evaluation which goes on belongs to, or of its own run.

    Raises: as for `evaluation_recorder`.
    """
    return home_of(store, "evaluation", folder.name, read_place(folder).parent_run_id)
