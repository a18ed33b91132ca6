"""Links into MLflow's web page that open on something worth seeing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from medarts_ops.config import ResolvedObjective
from medarts_ops.tracking.vocabulary import ACCURACY, KIND_TAG, SEARCH_TAG, RunKind


def comparison_link(
    ui_url: str,
    experiment_id: str,
    *,
    search_id: str | None = None,
    kind: RunKind = "individual",
    metric: str = ACCURACY,
    ascending: bool = False,
) -> str:
    """The link that shows runs side by side: a flat list, highest `metric` first or the lowest, with charts.

    The page's own default folds nested runs away and charts those alone that it shows (tried with MLflow 3.17).
    """
    condition = f"tags.`{KIND_TAG}`='{kind}'"
    if search_id is not None:
        condition += f" and tags.`{SEARCH_TAG}`='{search_id}'"
    order = f"orderByKey={quote(f'metrics.`{metric}`', safe='')}&orderByAsc={'true' if ascending else 'false'}"
    return (
        f"{experiment_link(ui_url, experiment_id)}&compareRunsMode=CHART"
        f"&searchFilter={quote(condition, safe='')}&{order}"
    )


def individuals_link(ui_url: str, experiment_id: str, search_id: str, objective: ResolvedObjective) -> str:
    """The comparison of a search's individuals, the best in that objective first."""
    return comparison_link(
        ui_url,
        experiment_id,
        search_id=search_id,
        metric=objective.name,
        ascending=objective.direction == "minimize",
    )


def compared_runs_link(ui_url: str, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> str:
    """The link to MLflow's page that compares just these runs; `experiment_ids` are all that they lie in."""
    runs, experiments = (quote(json.dumps(list(ids)), safe="") for ids in (run_ids, experiment_ids))
    return f"{ui_url.rstrip('/')}/#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"


def experiment_link(ui_url: str, experiment_id: str) -> str:
    """The link to an experiment's runs. Without `workflowType` MLflow 3.17 opens on traces of language models."""
    return f"{ui_url.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def run_link(ui_url: str, experiment_id: str, run_id: str) -> str:
    """The link to one run's page."""
    return f"{ui_url.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
