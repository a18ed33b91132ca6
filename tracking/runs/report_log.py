"""The report of a search, and that of an experiment, as an artifact of its run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.tracking.reading.experiment_report import report_of_experiment
from medarts_ops.tracking.reading.search_report import report_of
from medarts_ops.tracking.vocabulary import REPORT

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.completed_store import CompletedStore
    from medarts_ops.tracking.runs.experiment_runs import MlflowExperimentObserver
    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)


def renew_report(store: RunStore, run_id: str, work_dir: Path, completed: CompletedStore | None = None) -> None:
    """Log the report of a search, by its run's id, as things stand.

    To a `completed` store only if it lacks the report, or lacked something that the report may tell.

    Nothing ends for a report: one that can't be made, or that the store does not take, is named in a warning.
    """
    from medarts_ops.report.page import report_html

    try:
        if _is_held(completed, run_id):
            return
        page = report_html(report_of(store, store.find_run(run_id), work_dir))
        (completed or store).log_text(run_id, REPORT, page)
    except Exception as error:  # a plotting library has errors of its own
        _logger.warning("the report of search %s is not logged: %s; try `medarts report %s`", run_id, error, run_id)


def log_experiment_report(
    store: RunStore, experiment: MlflowExperimentObserver, completed: CompletedStore | None = None
) -> None:
    """Log the report of an experiment that was told of its end, as `renew_report` does that of a search."""
    from medarts_ops.report.experiment_page import experiment_page

    run_id = experiment.run_id
    try:
        if _is_held(completed, run_id):
            return
        report = report_of_experiment(store, store.find_run(run_id), experiment.result, "finished", experiment.summary)
        (completed or store).log_text(run_id, REPORT, experiment_page(report))
    except Exception as error:  # a plotting library has errors of its own
        _logger.warning("the report of experiment %s is not logged: %s", run_id, error)


def _is_held(completed: CompletedStore | None, run_id: str) -> bool:
    """Whether a completed store has the report, and lacked nothing that it may tell."""
    return completed is not None and not completed.written and REPORT in completed.artifacts_in(run_id, "")
