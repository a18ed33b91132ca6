"""A run as it stands in the tracking store, read once: a value without any MLflow in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RunKind = Literal["search", "stage", "individual", "evaluation"]
RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

KIND_TAG = "medarts.kind"
SEARCH_TAG = "medarts.search_id"
INDIVIDUAL_TAG = "medarts.individual"
EVALUATION_TAG = "medarts.evaluation_id"
"""An evaluation's id; it stands in no search's list of runs."""
JOB_TAGS = {"search": SEARCH_TAG, "evaluation": EVALUATION_TAG}
"""The tag that holds a job's name, by the kind of its run; the other kinds are parts of a job."""
PARENT_TAG = "mlflow.parentRunId"
FINGERPRINT_TAG = "medarts.fingerprint"
"""A hash of the images that a search or an evaluation was given."""
NOTE_TAG = "mlflow.note.content"
FAILURE_TAG = "medarts.failure"
STOPPED_TAG = "medarts.stopped"
"""Marks a run that ended only because its search stopped; a resumed search opens it again."""


@dataclass(frozen=True)
class TrackedRun:
    """One run. `metrics` holds each metric's last value; `status` is MLflow's word."""

    run_id: str
    name: str
    kind: str
    status: str
    experiment_id: str
    parent_run_id: str | None
    started: datetime
    ended: datetime | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
