"""What an evaluated network does class by class, as an artifact and as metrics, and the way back from the former."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from medarts_ops.class_report import ClassReport
from medarts_ops.errors import RunError
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.files import unversioned, versioned
from medarts_ops.tracking.artifacts.shapes import Json, reason_of

MOST_CLASSES = 100
"""Classes up to which each has metrics of its own (ours): MLflow's pages list them all."""

LONGEST_NAME = 100


def confusion_json(report: ClassReport) -> Json:
    """The report, without the images of its mistakes, which `result.json` and `pictures/mistakes.png` have."""
    return versioned(vocabulary.CONFUSION, json.loads(report.without_images().model_dump_json()))


def read_confusion(data: Any) -> ClassReport:
    """The inverse of `confusion_json`.

    Raises:
        RunError: not that shape, or of a newer version.
    """
    data = unversioned(data, vocabulary.CONFUSION)
    given = {key: value for key, value in data.items() if key != "format"} if isinstance(data, dict) else data
    try:
        return ClassReport.model_validate(given)
    except ValidationError as error:
        raise RunError(
            f"this is no {vocabulary.CONFUSION} of an evaluation: {reason_of(error)}; allowed is what it logged"
        ) from error


def class_metrics(report: ClassReport) -> dict[str, float]:
    """Balanced accuracy, calibration error, and recall and precision by class, as far as they are defined."""
    metrics = {
        vocabulary.BALANCED_ACCURACY: report.balanced_accuracy,
        vocabulary.CALIBRATION_ERROR: report.calibration_error,
    }
    if len(report.classes) > MOST_CLASSES:
        return metrics
    names = metric_names([one.name for one in report.classes])
    for one, name in zip(report.classes, names, strict=True):
        for beginning, value in ((vocabulary.RECALL, one.recall), (vocabulary.PRECISION, one.precision)):
            if value is not None:
                metrics[f"{beginning}{name}"] = value
    return metrics


def metric_names(names: list[str]) -> list[str]:
    """Classes' names as MLflow takes them in a metric's: letters, digits, `_` and `-`; equal ones get a number."""
    found: list[str] = []
    for place, name in enumerate(names):
        safe = re.sub(r"[^\w-]", "_", name)[:LONGEST_NAME]
        found.append(f"{safe}_{place}" if safe in found else safe)
    return found
