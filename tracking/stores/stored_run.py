"""A run as it stands in the tracking store, read once: a value without any MLflow in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

LONGEST_PARAM, LONGEST_TAG = 6000, 8000
"""Characters of a parameter and of a tag that are kept."""


@dataclass(frozen=True)
class StoredRun:
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
