"""Links into MLflow's web page that open on something worth seeing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from medarts_ops.config import ResolvedObjective
from medarts_ops.tracking.vocabulary import KIND_TAG, SEARCH_TAG, RunKind


def individuals_link(ui_url: str, experiment_id: str, search_id: str, objective: ResolvedObjective) -> str:
    """The link that shows a search's individuals side by side: a flat list, the best in that objective first, charted.

    The page's own default folds nested runs away and charts those alone that it shows (tried with MLflow 3.17).
    """
    kind: RunKind = "individual"
    condition = quote(f"tags.`{KIND_TAG}`='{kind}' and tags.`{SEARCH_TAG}`='{search_id}'", safe="")
    ascending = "true" if objective.direction == "minimize" else "false"
    return (
        f"{experiment_link(ui_url, experiment_id)}&compareRunsMode=CHART&searchFilter={condition}"
        f"&orderByKey={quote(f'metrics.`{objective.name}`', safe='')}&orderByAsc={ascending}"
    )


def compared_runs_link(ui_url: str, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> str:
    """The link to MLflow's page that compares just these runs; `experiment_ids` are all that they lie in."""
    runs, experiments = (quote(json.dumps(list(ids)), safe="") for ids in (run_ids, experiment_ids))
    return f"{ui_url.rstrip('/')}/#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"


def experiment_link(ui_url: str, experiment_id: str) -> str:
    """The link to an experiment's runs. Without `workflowType` MLflow 3.17 opens on traces of language models."""
    return f"{ui_url.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
