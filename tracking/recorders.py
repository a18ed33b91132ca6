"""Who writes a job down: what a search, and what an evaluation, tells its stores through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from optuna.storages import BaseStorage
from pydantic import ValidationError

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.observers import DatasetSummary, EvaluationEvent, FanOut, SearchEvent, SearchObserver
from medarts_ops.proposal_outcomes import ProposalRecorder
from medarts_ops.proposers import Proposer
from medarts_ops.tracking.runs.evaluation_pictures import EvaluationPictures
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.runs.journal_copy import JournalCopy
from medarts_ops.tracking.runs.picture_log import SearchPictures
from medarts_ops.tracking.runs.report_log import SearchReporter
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.studies.proposer import make_proposer
from medarts_ops.tracking.studies.stage_record import StageRecorder
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

    @property
    def run_id(self) -> str:
        """The search's run id, once it has started."""
        return self.mlflow.search_run_id


class EvaluationRecorder(NamedTuple):
    """Who writes an evaluation down: `observer` is told its events, `mlflow` knows its run."""

    observer: FanOut[EvaluationEvent]
    mlflow: MlflowEvaluationObserver

    @property
    def run_id(self) -> str:
        """The evaluation's run id, once it has started."""
        return self.mlflow.run_id


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

    Args:
        store: where its runs go.
        studies: where its studies go.
        folder: its own, which bears its name.
        config: its settings, without any `auto`.
        dataset: its images.
        pictures: whether pictures and the report are logged.
        reopens: whether the search goes on, and its stopped runs with it.

    Raises:
        ConfigError: the study of its proposals was filled under other settings.
        StoreError: a store failed.
    """
    mlflow = MlflowSearchObserver(store, reopens=reopens)
    proposer = make_proposer(config, folder.name, studies, dataset)
    stages = StageRecorder(studies, folder.name, config, mlflow.run_id_of, mlflow.stage_run_id)
    journal = JournalCopy(store, folder, lambda: mlflow.search_run_id)
    observers: list[SearchObserver] = [mlflow, journal, ProposalRecorder(proposer), stages]
    if pictures:
        report = SearchReporter(store, folder, lambda: mlflow.search_run_id)
        observers += [SearchPictures(store, mlflow), report]
    return SearchRecorder(FanOut[SearchEvent](observers), mlflow, proposer)


def evaluation_recorder(
    store: RunStore, folder: Path, place: Place, *, pictures: bool, reopens: bool = True
) -> EvaluationRecorder:
    """Whoever writes an evaluation down, in order: pictures belong to a run that MLflow has made.

    Args and errors are those of `search_recorder`, but for `place`, where its run belongs.
    """
    mlflow = MlflowEvaluationObserver(
        store, folder.name, evaluates=place.evaluates, parent_run_id=place.parent_run_id, reopens=reopens
    )
    drawn = EvaluationPictures(store, mlflow, folder.name, search_run_id=place.parent_run_id, work_dir=folder.parent)
    return EvaluationRecorder(FanOut[EvaluationEvent]([mlflow, drawn] if pictures else [mlflow]), mlflow)


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
