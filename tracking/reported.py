"""The report of a search, gathered from its journal and from what the store holds of it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from medarts_ops.errors import RunError, StoreError
from medarts_ops.journal.evaluation_folder import RESULT, STARTED, read_evaluation
from medarts_ops.journal.journal import Journal
from medarts_ops.observers import SearchEvent, SearchFinished, StageFinished, StageStarted, state_after
from medarts_ops.report.values import ReportedEvaluation, SearchReport
from medarts_ops.tracking.artifact_files import MAX_ARTIFACT_BYTES
from medarts_ops.tracking.jobs import find_job, job_in, job_name
from medarts_ops.tracking.journal_copy import copied_journal
from medarts_ops.tracking.reproducibility_log import FOLDER as RECORDS
from medarts_ops.tracking.store import open_store
from medarts_ops.tracking.tracked_run import EVALUATION_TAG, INDIVIDUAL_TAG, SEARCH_TAG, TrackedRun

if TYPE_CHECKING:
    from medarts_ops.reproducibility import ReproducibilityRecord
    from medarts_ops.tracking.run_store import RunStore

REPORT = "report.html"

_logger = logging.getLogger(__name__)


def search_report(
    given: str, *, tracking_uri: str | None = None, work_dir: Path = Path("medarts-work")
) -> tuple[SearchReport, RunStore]:
    """The report of a search, and the store that holds it.

    The journal in the work directory says what happened, or else the copy that the search's run keeps; evaluations come
    from the store.

    Args:
        given: the name of the search or of an evaluation of it, or the id of a run of either.
        tracking_uri: the MLflow store that holds it.
        work_dir: where the search's folder is, if it is here.

    Raises:
        RunError: no such run, or an evaluation of a genotype that was given by hand.
        SearchError: neither the work directory nor the run has a journal, or a corrupt one.
        StoreError: the store can't be reached.
    """
    store = open_store(tracking_uri, create=False)
    job = find_job(given, tracking_uri=tracking_uri, work_dir=work_dir)
    if job.kind == "evaluation":
        search = _parent_of(store, given if job.run_id is None else job.run_id)
        job = find_job(search, tracking_uri=tracking_uri, work_dir=work_dir)
    run = store.find_run(job.name if job.run_id is None else job.run_id)
    return report_of(store, run, job.name, work_dir), store


def report_of(store: RunStore, run: TrackedRun, name: str, work_dir: Path) -> SearchReport:
    """The report of the search of that name, whose run this is."""
    if job_in(work_dir, name) == "search":
        journal = Journal.open(work_dir / name)
    else:
        with copied_journal(store, run.run_id, work_dir, name) as file:
            journal = Journal.open(file.parent)
    started, events = journal.started, [event for _, event in journal.events()]
    return SearchReport(
        search_id=name,
        state=state_after(events[-1]),
        config=started.config,
        dataset=started.dataset,
        stages=tuple(event.result for event in events if isinstance(event, StageFinished)),
        images={event.index: event.images for event in events if isinstance(event, StageStarted)},
        run_id=run.run_id,
        run_ids={
            each.tags[INDIVIDUAL_TAG]: each.run_id
            for each in store.runs_of_search(run.experiment_id, name)
            if INDIVIDUAL_TAG in each.tags
        },
        evaluations=_evaluations(store, run),
        record=_first_record(store, run),
    )


class SearchReporter:
    """Logs the report of a search when it is finished. One that can't be made is named in a warning.

    Args:
        store: where the search's run is.
        folder: the search's, which holds its journal.
        run_id: gives the search's run id, once it has started.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(self, store: RunStore, folder: Path, run_id: Callable[[], str]) -> None:
        self._store, self._folder, self._run_id = store, folder, run_id

    def notify(self, event: SearchEvent) -> None:
        """Take note of the end."""
        if isinstance(event, SearchFinished):
            renew_report(self._store, self._run_id(), self._folder.parent)


def renew_report(store: RunStore, run_id: str, work_dir: Path) -> None:
    """Log the report of a search, by its run's id, as things stand. One that can't be made is named in a warning.

    Raises:
        StoreError: the store failed.
    """
    from medarts_ops.report.page import report_html

    try:
        run = store.find_run(run_id)
        page = report_html(report_of(store, run, job_name(run, SEARCH_TAG), work_dir))
    except StoreError:
        raise
    except Exception as error:  # whatever a plotting library stumbles over is not the search's fault
        _logger.warning("the report of search %s can't be made: %s; try `medarts report %s`", run_id, error, run_id)
        return
    store.log_text(run_id, REPORT, page)


def _parent_of(store: RunStore, evaluation: str) -> str:
    run = store.find_run(evaluation)
    if run.parent_run_id is None:
        raise RunError(
            f"evaluation {run.name!r} is of a genotype that was given by hand and belongs to no search: "
            f"`medarts show {run.run_id}` tells what came of it"
        )
    return run.parent_run_id


def _evaluations(store: RunStore, run: TrackedRun) -> tuple[ReportedEvaluation, ...]:
    finished = [each for each in store.children(run, "evaluation") if each.status == "FINISHED"]
    return tuple(found for each in finished if (found := _evaluation(store, each)) is not None)


def _evaluation(store: RunStore, run: TrackedRun) -> ReportedEvaluation | None:
    """One of them; None where its run does not keep what it came to, as those of the first releases."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            for name in (STARTED, RESULT):
                store.download(run.run_id, name, folder, MAX_ARTIFACT_BYTES)
        except RunError:
            return None
        started, result = read_evaluation(folder)
    assert result is not None, "it was downloaded"
    return ReportedEvaluation(run.tags.get(EVALUATION_TAG, run.name), run.run_id, started, result)


def _first_record(store: RunStore, run: TrackedRun) -> ReproducibilityRecord | None:
    """How the search's first process came to its numbers; None where the run has no record that can be read."""
    from medarts_ops.reproducibility import ReproducibilityRecord

    paths = sorted(store.artifacts_in(run.run_id, RECORDS))
    try:
        return ReproducibilityRecord.model_validate(store.read_json_artifact(run.run_id, paths[0])) if paths else None
    except (ValidationError, RunError):
        return None
