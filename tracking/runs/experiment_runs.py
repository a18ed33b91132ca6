"""An experiment in MLflow: one run, with its trainings' runs below it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from medarts_ops.experiment import (
    ExperimentEvent,
    ExperimentFinished,
    ExperimentPlan,
    ExperimentResult,
    ExperimentStarted,
    TrainingFinished,
    TrainingOutcome,
    TrainingUnreadable,
)
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.summary import Estimate, Summary
from medarts_ops.summary_text import summary_markdown
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts import shapes
from medarts_ops.tracking.artifacts.experiments import outcomes_json, plan_json, summary_json
from medarts_ops.tracking.runs.job_observer import JobObserver

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter


class MlflowExperimentObserver(JobObserver[ExperimentEvent, ExperimentStarted]):
    """Writes an experiment's events into a tracking store, as a `JobObserver` does; `name` is the experiment's.

    Its trainings' runs are written by those who are told of them.
    """

    def __init__(self, store: RunWriter, name: str, *, reopens: bool = True) -> None:
        super().__init__(store, "experiment", reopens=reopens)
        self.name = name
        self._outcomes: dict[str, TrainingOutcome] = {}
        self._summary: Summary | None = None

    @property
    def result(self) -> ExperimentResult:
        """What came of it so far."""
        plan = self.started.plan
        keys = (training.key for training in plan.trainings)
        outcomes = tuple(self._outcomes[key] for key in keys if key in self._outcomes)
        return ExperimentResult(name=self.name, plan=plan, outcomes=outcomes)

    @property
    def summary(self) -> Summary:
        """The result summed up, once: intervals by the bootstrap take a while."""
        from medarts_ops.experiments.summarize import summarize

        if self._summary is None:
            self._summary = summarize(self.result)
        return self._summary

    def _write(self, event: ExperimentEvent) -> None:
        match event:
            case ExperimentStarted(plan=plan):
                self._experiment_started(event, plan)
            case TrainingFinished(outcome=outcome) | TrainingUnreadable(outcome=outcome):
                self._outcomes[outcome.key] = outcome
                self._summary = None
            case ExperimentFinished():
                self._experiment_finished()

    def _experiment_started(self, event: ExperimentStarted, plan: ExperimentPlan) -> None:
        first = plan.arms[0]
        config = first.search if first.evaluation is None else first.evaluation
        assert config is not None, "an arm has something to train"
        settings = {key: value for key, value in shapes.flattened(config).items() if key != "seed"}
        sizes = {"arms": len(plan.arms), "trainings": len(plan.trainings), "workers": plan.workers}
        what = {"experiment": plan.kind, "scale": plan.scale, "seeds": ",".join(map(str, plan.seeds))}
        self._begin(
            event,
            self.name,
            dataset=plan.datasets[first.fingerprint],
            dataset_is_for="experiment",
            tags={vocabulary.EXPERIMENT_KIND_TAG: plan.kind},
            params={**settings, **what, **sizes},
            artifacts={vocabulary.PLAN: plan_json(plan)},
        )

    def _experiment_finished(self) -> None:
        run_id, result = self.run_id, self.result
        if not self._runs.is_open(run_id):
            return
        seconds = sum(one.seconds for one in result.finished if one.is_own)
        numbers = {vocabulary.HOURS: seconds / SECONDS_PER_HOUR, vocabulary.FAILED_TRAININGS: float(len(result.failed))}
        self._log_missing(run_id, {**_numbers(self.summary), **numbers})
        self._store.log_json(run_id, vocabulary.OUTCOMES, outcomes_json(result))
        self._store.log_json(run_id, vocabulary.TABLE, summary_json(self.summary))
        self._store.set_tags(run_id, {vocabulary.NOTE_TAG: summary_markdown(self.summary)})
        self._runs.finish(run_id, "FINISHED")


def _numbers(summary: Summary) -> dict[str, float]:
    """An experiment's statistics, and each row's means by the row's first cell, under names that MLflow takes."""
    found = {statistic.key: statistic.value for statistic in summary.statistics}
    labels = _told_apart([_metric_name(str(row.get(summary.columns[0].key))) for row in summary.rows])
    for label, row in zip(labels, summary.rows, strict=True):
        estimates = {key: cell.mean for key, cell in row.items() if isinstance(cell, Estimate)}
        found |= {f"{key}/{label}": mean for key, mean in estimates.items()}
    return {key: value for key, value in found.items() if math.isfinite(value)}


def _metric_name(text: str) -> str:
    """Text as a part of a metric's name: letters, digits, `_`, `-`, `.` and spaces."""
    return re.sub(r"[^A-Za-z0-9_. -]", "_", text)[:100]


def _told_apart(labels: Sequence[str]) -> list[str]:
    """Labels of rows; of those that are the same for MLflow each has its row's number."""
    return [f"{label} {number}" if labels.count(label) > 1 else label for number, label in enumerate(labels, start=1)]
