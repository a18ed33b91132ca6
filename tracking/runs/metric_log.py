"""Metrics of events that may be told twice: MLflow would keep both points."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class MetricLog:
    """Writes an event's metrics so that telling it again doubles none.

    An event that is told again by this process keeps its first time stamp: MLflow takes equal points for one, even
    those that a store wrote although its answer was lost. What an earlier process may have written is looked up.

    Attributes:
        looks_first: whether an earlier process may have logged some of it.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._event: object = None
        self._milliseconds = 0
        self.looks_first = False

    def begin(self, event: object) -> None:
        """Metrics from here on are this event's."""
        if event is not self._event:
            self._event, self._milliseconds = event, int(time.time() * 1000)

    def log(self, run_id: str, values: Mapping[str, float], step: int = 0) -> None:
        """Log values that no earlier process logged."""
        self._store.log_metrics(run_id, values, step, self._milliseconds)

    def log_missing(self, run_id: str, values: Mapping[str, float], step: int = 0) -> None:
        """Log the values that are not there at this step yet."""
        if self.looks_first:
            values = {key: value for key, value in values.items() if step not in self._store.steps(run_id, key)}
        if values:
            self.log(run_id, values, step)
