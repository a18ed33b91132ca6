"""What an evaluation leaves in MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from class_reports import make_class_report, make_validated_result
from factories import make_dataset_summary, make_evaluation_epoch, make_genotype

from medarts_ops.config import EvaluateConfig
from medarts_ops.errors import FailureCause, RunError
from medarts_ops.individual import EvaluationEpoch, EvaluationResult
from medarts_ops.observers import (
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationStarted,
    EvaluationStopped,
)
from medarts_ops.resolving import resolve_evaluate_config
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.shapes import read_genotype
from medarts_ops.tracking.place import Place
from medarts_ops.tracking.reading.contents import confusion_of
from medarts_ops.tracking.reading.jobs import resumable_job
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.stores.run_store import RunStore

HISTORY = tuple(make_evaluation_epoch(epoch, error) for epoch, error in enumerate((0.3, 0.1, 0.2)))
STARTED = EvaluationStarted(
    config=resolve_evaluate_config(EvaluateConfig(), (8, 8)),
    genotype=make_genotype(),
    parameters=1234,
    dataset=make_dataset_summary(),
)
FINISHED = EvaluationFinished(
    result=EvaluationResult(genotype=make_genotype(), parameters=1234, history=HISTORY, seconds=3600.0)
)


def told(store: RunStore, *events: EvaluationEvent, evaluates: str | None = None) -> MlflowEvaluationObserver:
    tags = Place(evaluates=evaluates).tags
    observer = MlflowEvaluationObserver(store, "evaluate-test", tags=tags, parent_run_id=evaluates)
    for event in events:
        observer.notify(event)
    return observer


def finished(store: RunStore, evaluates: str | None = None) -> MlflowEvaluationObserver:
    return told(store, STARTED, *map(_epoch_finished, HISTORY), FINISHED, evaluates=evaluates)


def _epoch_finished(record: EvaluationEpoch) -> EvaluationEpochFinished:
    return EvaluationEpochFinished(record=record)


def test_an_evaluation_hangs_below_the_search_that_it_evaluates(store: RunStore) -> None:
    search = store.create_run(experiment_id=store.experiment_id(), kind="search", name="s", tags={}, params={})
    run_id = finished(store, search).run_id
    found = store.children(store.find_run(search), "evaluation")
    assert [(run.run_id, run.tags["medarts.evaluates"]) for run in found] == [(run_id, search)]


def test_a_genotype_given_by_hand_has_no_parent(store: RunStore) -> None:
    run = store.find_run(finished(store).run_id)
    assert run.parent_run_id is None and "medarts.evaluates" not in run.tags
    assert run.tags["mlflow.source.name"] == "medarts evaluate"


def test_the_last_epochs_error_is_the_result_and_the_best_stands_beside_it(store: RunStore) -> None:
    run = store.find_run(finished(store).run_id)
    assert (run.metrics["test_error"], run.metrics["best_test_error"]) == (0.2, 0.1)
    assert (run.metrics["params"], run.metrics["hours"], run.status) == (1234, 1, "FINISHED")
    assert "20.00 %" in run.tags["mlflow.note.content"]


def test_classes_are_metrics_a_table_and_the_note(store: RunStore) -> None:
    result = FINISHED.result.model_copy(update={"classes": make_class_report()})
    run = store.find_run(told(store, STARTED, *map(_epoch_finished, HISTORY), EvaluationFinished(result=result)).run_id)
    assert run.metrics["recall.viral"] == pytest.approx(53 / 124)
    assert run.metrics.keys() >= {"balanced_accuracy", "ece", "precision.normal", "best_test_error"}
    assert confusion_of(store, run) == make_class_report().without_images()
    assert "balanced accuracy: 70.25 %" in run.tags["mlflow.note.content"]
    assert "viral: 53 of 124 found" in run.tags["mlflow.note.content"]


def test_a_classs_name_is_no_markup_in_the_note(store: RunStore) -> None:
    report = make_class_report()
    named = (report.classes[0].model_copy(update={"name": "[a_b](x)\n# c"}), *report.classes[1:])
    result = FINISHED.result.model_copy(update={"classes": report.model_copy(update={"classes": named})})
    run = store.find_run(told(store, STARTED, EvaluationFinished(result=result)).run_id)
    assert r"- class found worst: \[a\_b\](x)\\n# c: 53 of 124 found" in run.tags["mlflow.note.content"]


def test_one_that_validates_tests_once_at_its_end(store: RunStore) -> None:
    result = make_validated_result(make_genotype())
    epochs = map(_epoch_finished, result.history)
    run = store.find_run(told(store, STARTED, *epochs, EvaluationFinished(result=result)).run_id)
    tested = store._client.get_metric_history(run.run_id, "test_error")
    assert [(point.step, point.value) for point in tested] == [(2, pytest.approx(231 / 1124))]
    assert [point.value for point in store._client.get_metric_history(run.run_id, "valid_accuracy")] == [
        0.5,
        0.75,
        0.625,
    ]
    assert run.metrics["test_loss"] == 0.75 and "best_test_error" not in run.metrics
    assert "epoch 2 of 3, chosen by validation images" in run.tags["mlflow.note.content"]
    rows = store.read_json_artifact(run.run_id, "history.json")
    assert {"valid_loss", "valid_accuracy"} < rows[0].keys() and "test_error" not in rows[0]


def test_an_evaluation_of_an_earlier_release_has_no_report_of_its_classes(store: RunStore) -> None:
    assert confusion_of(store, store.find_run(finished(store).run_id)) is None


def test_every_epoch_has_its_numbers(store: RunStore) -> None:
    run_id = finished(store).run_id
    assert [point.step for point in store._client.get_metric_history(run_id, "drop_path")] == [0, 1, 2]
    assert {"train_loss", "train_accuracy", "test_loss", "lr", "epoch_seconds"} <= store.find_run(run_id).metrics.keys()


def test_the_genotype_and_the_settings_are_kept(store: RunStore) -> None:
    run_id = finished(store).run_id
    assert read_genotype(store.read_json_artifact(run_id, "genotype.json")) == make_genotype()
    assert store.find_run(run_id).params["auxiliary.weight"] == "0.4"


@pytest.mark.parametrize(("interrupted", "status"), [(True, "KILLED"), (False, "FAILED")])
def test_a_stopped_evaluation_says_why(store: RunStore, interrupted: bool, status: str) -> None:
    observer = told(store, STARTED, EvaluationStopped(reason="out of memory", interrupted=interrupted))
    run = store.find_run(observer.run_id)
    assert (run.status, run.tags["medarts.failure"]) == (status, "out of memory")


@pytest.mark.parametrize("cause", ["diverged", None])
def test_only_what_did_not_diverge_can_be_resumed(store: RunStore, tmp_path: Path, cause: FailureCause | None) -> None:
    stop = EvaluationStopped(reason="the loss became NaN", interrupted=False, cause=cause)
    run_id = told(store, STARTED, stop).run_id
    named = None if cause else "evaluate-test"
    assert resumable_job(store.find_run(run_id), None, tmp_path) == named
    told(store, STARTED)  # by somebody who resumes it nevertheless
    assert vocabulary.FAILURE_CAUSE_TAG not in store.find_run(run_id).tags


def test_stopping_before_the_start_is_no_error(store: RunStore) -> None:
    observer = told(store, EvaluationStopped(reason="Ctrl-C", interrupted=True))
    with pytest.raises(RunError, match="no evaluation has started"):
        _ = observer.run_id
