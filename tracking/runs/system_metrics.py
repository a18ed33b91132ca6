"""How busy the machine is while a job runs: MLflow's own system metrics, on the job's run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from medarts_ops.observers import JobEvent

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


class SystemMetrics:
    """An observer of a job's events that has MLflow measure from the job's start to its end, in a thread of its own.

    Processor, memory, disk and network of the whole machine, and its graphics cards where `nvidia-ml-py` is installed,
    every ten seconds or every MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL. A job that goes on goes on with its curves.
    Nothing ends for a measurement: what a store does not take is named in a warning, and MLflow measures no more.

    `uri` is the store's, `run_id` gives the job's run, None before that is made.
    """

    def __init__(self, uri: str, run_id: Callable[[], str | None]) -> None:
        self._uri, self._run_id = uri, run_id
        self._monitor: SystemMetricsMonitor | None = None
        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # not that it starts, and ends

    def notify(self, event: JobEvent) -> None:
        """Take note of one event: the first begins to measure, one that the job ended with ends it."""
        if event.job_state != "unfinished":
            if self._monitor is not None:
                self._monitor.finish()
                self._monitor = None
        elif self._monitor is None and (run_id := self._run_id()) is not None:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            self._monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self._uri)
            self._monitor.start()
