"""Who writes a job down: what a search, and what an evaluation, tells its stores through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple

from optuna.storages import BaseStorage
from pydantic import ValidationError

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import SearchError
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
from medarts_ops.tracking.reading.jobs import home_of
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.runs.journal_copy import JournalCopy
from medarts_ops.tracking.runs.picture_log import SearchPictures, log_evaluation_pictures
from medarts_ops.tracking.runs.report_log import renew_report
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.studies import stage_record
from medarts_ops.tracking.studies.proposer import make_proposer
from medarts_ops.value import Value

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

PLACE = "tracking.json"
"""File in an evaluation's folder: below which runs its own belongs, for the process that resumes it."""


class SearchRecorder(NamedTuple):
    """Who writes a search down: `observer` is told its events, `mlflow` knows its runs, `proposer` its study."""

    observer: FanOut[SearchEvent]
    mlflow: MlflowSearchObserver
    proposer: Proposer


class EvaluationRecorder(NamedTuple):
    """Who writes an evaluation down: `observer` is told its events, `mlflow` knows its run."""

    observer: FanOut[EvaluationEvent]
    mlflow: MlflowEvaluationObserver


@dataclass(frozen=True)
class When(Generic[Event]):
    """An observer that calls a function with each event of one kind."""

    kind: type[Event]
    call: Callable[[Event], None]

    def notify(self, event: object) -> None:
        """Take note of one event."""
        if isinstance(event, self.kind):
            self.call(event)


class Place(Value):
    """Where an evaluation's run belongs: the individual that it evaluates and the search that it is shown below.

    Both are None for a genotype that was given by hand.
    """

    format: Literal["medarts-evaluation-place"] = "medarts-evaluation-place"
    version: Literal[1] = 1
    evaluates: str | None = None
    parent_run_id: str | None = None


def search_recorder(
    store: RunStore,
    studies: BaseStorage,
    folder: Path,
    config: ResolvedSearchConfig,
    dataset: DatasetSummary,
    *,
    pictures: bool,
    reopens: bool = True,
) -> SearchRecorder:
    """Whoever writes a search down, in order: the others' records and pictures belong to runs that MLflow has made.

    Its runs go into `store`, its studies into `studies`; its `folder` bears its name. With `pictures` the report is
    logged, too. `reopens` says whether the search goes on, and its stopped runs with it.

    Raises:
        ConfigError: the study of its proposals was filled under other settings.
        StoreError: a store failed.
    """
    store = home_of(store, "search", folder.name)
    mlflow = MlflowSearchObserver(store, reopens=reopens)
    proposer = make_proposer(config, folder.name, studies, dataset)

    def record(event: StageFinished) -> None:
        stage = mlflow.stage_run_id(event.result.index)
        stage_record.record_stage(studies, folder.name, event.result, config, mlflow.run_id_of, stage)

    def report(event: SearchFinished) -> None:
        renew_report(store, mlflow.run_id, folder.parent)

    observers: list[SearchObserver] = [mlflow, JournalCopy(store, folder, lambda: mlflow.run_id)]
    observers += [ProposalRecorder(proposer), When(StageFinished, record)]
    if pictures:
        observers += [SearchPictures(store, mlflow), When(SearchFinished, report)]
    return SearchRecorder(FanOut[SearchEvent](observers), mlflow, proposer)


def evaluation_recorder(store: RunStore, folder: Path, *, pictures: bool, reopens: bool = True) -> EvaluationRecorder:
    """Whoever writes an evaluation down, below the runs that its folder names, in order as for `search_recorder`.

    Raises:
        SearchError: the folder does not say where the evaluation's run belongs.
        StoreError: the store failed.
    """
    place = read_place(folder)
    mlflow = MlflowEvaluationObserver(
        store, folder.name, evaluates=place.evaluates, parent_run_id=place.parent_run_id, reopens=reopens
    )

    def draw(event: EvaluationFinished) -> None:
        log_evaluation_pictures(store, mlflow, folder.name, event)
        if place.parent_run_id is not None:
            renew_report(store, place.parent_run_id, folder.parent)

    observers: list[EvaluationObserver] = [mlflow, When(EvaluationFinished, draw)] if pictures else [mlflow]
    return EvaluationRecorder(FanOut[EvaluationEvent](observers), mlflow)


def evaluation_home(store: RunStore, folder: Path) -> RunStore:
    """The store for the experiment of the search that an evaluation which goes on belongs to, or of its own run.

    Raises: as for `evaluation_recorder`.
    """
    return home_of(store, "evaluation", folder.name, read_place(folder).parent_run_id)


def write_place(folder: Path, place: Place) -> None:
    """Keep an evaluation's place in its folder."""
    (folder / PLACE).write_text(place.model_dump_json(), encoding="utf-8")


def read_place(folder: Path) -> Place:
    """The place that an evaluation's folder keeps.

    Raises:
        SearchError: there is none that can be read.
    """
    try:
        return Place.model_validate_json((folder / PLACE).read_bytes())
    except (OSError, ValidationError) as error:
        raise SearchError(
            f"{str(folder / PLACE)!r} can't be read ({str(error).splitlines()[0]}): restore it, or evaluate again"
        ) from error
