"""An evaluation in MLflow: one run, below the search that it evaluates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from medarts_ops.class_report_text import facts_of
from medarts_ops.evaluated import EvaluationResult
from medarts_ops.journal.evaluation_folder import RESULT, STARTED
from medarts_ops.observers import EvaluationEpochFinished, EvaluationEvent, EvaluationFinished, EvaluationStarted
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts import shapes
from medarts_ops.tracking.artifacts.classes import class_metrics, confusion_json
from medarts_ops.tracking.runs.job_observer import JobObserver
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter


class MlflowEvaluationObserver(JobObserver[EvaluationEvent, EvaluationStarted]):
    """Writes an evaluation's events into a tracking store, as a `JobObserver` does.

    `evaluation_id` is the evaluation's name, `parent_run_id` the search, or the experiment, that it belongs to, if any;
    `tags` are more of its run, such as the one whose genotype is trained.
    """

    def __init__(
        self,
        store: RunWriter,
        evaluation_id: str,
        *,
        parent_run_id: str | None,
        tags: Mapping[str, str] = MappingProxyType({}),
        reopens: bool = True,
    ) -> None:
        super().__init__(store, "evaluation", reopens=reopens)
        self._evaluation_id, self._parent_run_id, self._tags = evaluation_id, parent_run_id, tags

    def _write(self, event: EvaluationEvent) -> None:
        match event:
            case EvaluationStarted():
                self._evaluation_started(event)
            case EvaluationEpochFinished(record=record):
                self._log_epoch(self.run_id, record)
            case EvaluationFinished():
                self._evaluation_finished(event)

    def _evaluation_started(self, event: EvaluationStarted) -> None:
        self._begin(
            event,
            self._evaluation_id,
            dataset=event.dataset,
            dataset_is_for="evaluate-train",
            parent_run_id=self._parent_run_id,
            tags={vocabulary.GENOTYPE_TAG: event.genotype.identity, **self._tags},
            params={**shapes.flattened(event.config), "parameters": event.parameters},
            artifacts={
                vocabulary.CONFIG: shapes.plain(event.config),
                vocabulary.GENOTYPE: shapes.genotype_json(event.genotype),
            },
        )

    def _evaluation_finished(self, event: EvaluationFinished) -> None:
        run_id, result = self.run_id, event.result
        if not self._runs.is_open(run_id):
            return
        if event.weights_file is not None:
            weights = Path(event.weights_file)
            # With what the folder says of them, so that the network can be built from the run alone.
            for file in (weights, weights.with_name(STARTED), weights.with_name(RESULT)):
                self._store.log_file(run_id, file)
        self._log_missing(run_id, _metrics(result), step=result.history[-1].epoch)
        self._store.log_json(run_id, vocabulary.HISTORY, shapes.history_json(result.history))
        if result.classes is not None:
            self._store.log_json(run_id, vocabulary.CONFUSION, confusion_json(result.classes))
        cut = {} if result.cut is None else {vocabulary.CUT_TAG: str(result.cut)}
        self._store.set_tags(run_id, {vocabulary.NOTE_TAG: _note(result), **cut})
        self._runs.finish(run_id, "FINISHED")


def _metrics(result: EvaluationResult) -> dict[str, float]:
    """What is logged at the last epoch's step, so that MLflow's "last value" of test_error is the result."""
    found = {vocabulary.PARAMS: float(result.parameters), vocabulary.HOURS: result.seconds / SECONDS_PER_HOUR}
    if result.best_test_error is not None:
        found[vocabulary.BEST_TEST_ERROR] = result.best_test_error
    if result.classes is None:
        return found
    if result.chosen_epoch is not None:  # its epochs were not tested
        found |= {vocabulary.TEST_ERROR: result.test_error, vocabulary.TEST_LOSS: result.classes.loss}
    return found | class_metrics(result.classes)


def _note(result: EvaluationResult) -> str:
    size = f"{result.parameters / 1e6:.2f} M parameters, {result.seconds / SECONDS_PER_HOUR:.2f} h"
    planned = "" if result.cut is None else f" of {result.cut.planned}, since the time was over"
    error = f"Test error **{100 * result.test_error:.2f} %**"
    if result.best_test_error is None:
        note = f"{error} by the weights of {result.taken_from} ({size})."
    else:
        note = (
            f"{error} after {len(result.history)} epochs{planned} ({size}); "
            f"best of any epoch {100 * result.best_test_error:.2f} %, which was chosen on the test set."
        )
    facts = () if result.classes is None else facts_of(result.classes)
    # A class may have any name; in a note it is no markup.
    plain = [(label, re.sub(r"([\\`*_\[\]<>|])", r"\\\1", visible(value))) for label, value in facts]
    return "\n".join([note, *(f"- {label}: {value}" for label, value in plain)])
