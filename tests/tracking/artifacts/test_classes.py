"""What an evaluated network does class by class, in and out of MLflow."""

from __future__ import annotations

import json

import pytest
from class_reports import make_class_report
from mlflow.utils.validation import _validate_metric_name

from medarts_ops.errors import RunError
from medarts_ops.tracking.artifacts.classes import class_metrics, confusion_json, metric_names, read_confusion


def test_the_artifact_comes_back_without_the_images_of_mistakes() -> None:
    report = make_class_report()
    data = json.loads(json.dumps(confusion_json(report)))
    assert (data["format"], data["version"]) == ("medarts-confusion", 1)
    assert data["confusion"][0] == [53, 41, 30] and data["classes"][0]["name"] == "viral"
    assert read_confusion(data) == report.without_images()


@pytest.mark.parametrize("data", [[], {"version": 1}, {"version": 2}, {"classes": [], "confusion": [[1]]}])
def test_what_is_no_such_artifact_is_refused_in_a_line(data: object) -> None:
    with pytest.raises(RunError) as caught:
        read_confusion(data)
    assert "\n" not in str(caught.value)


def test_each_class_has_its_recall_and_precision_under_a_name_that_mlflow_takes() -> None:
    metrics = class_metrics(make_class_report())
    assert metrics["recall.viral"] == pytest.approx(53 / 124) and metrics["precision.viral"] == pytest.approx(53 / 83)
    assert metrics["balanced_accuracy"] == pytest.approx(0.70247, abs=1e-5) and metrics["ece"] == 0.0325
    names = metric_names(["a/b c", "a b.c", "猫", "x" * 300, "..", "naïve-1"])
    assert names == ["a_b_c", "a_b_c_1", "猫", "x" * 100, "__", "naïve-1"]
    for name in names:
        _validate_metric_name(f"recall.{name}")
