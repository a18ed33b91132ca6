"""The JSON of an experiment's artifacts, its plan and its summary, and the way back from the latter."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import TypeAdapter, ValidationError

from medarts_ops.errors import MedartsError, RunError
from medarts_ops.experiment import ExperimentPlan, ExperimentResult
from medarts_ops.summary import Summary
from medarts_ops.tracking.artifacts.files import unversioned, versioned, without_nan
from medarts_ops.tracking.artifacts.shapes import Json, reason_of
from medarts_ops.tracking.vocabulary import OUTCOMES, PLAN, TABLE

_SUMMARY = TypeAdapter(Summary)


def plan_json(plan: ExperimentPlan) -> Json:
    """All that an experiment trains."""
    return versioned(PLAN, json.loads(plan.model_dump_json()))


def outcomes_json(result: ExperimentResult) -> Json:
    """What each training came to."""
    return versioned(OUTCOMES, {"outcomes": json.loads(result.model_dump_json(include={"outcomes"}))["outcomes"]})


def read_result(name: str, plan: Any, outcomes: Any) -> ExperimentResult:
    """The inverse of `plan_json` and `outcomes_json`; raises as `read_summary`."""
    try:
        data = {"name": name, "plan": unversioned(plan, PLAN), **unversioned(outcomes, OUTCOMES)}
        return ExperimentResult.model_validate(data)
    except (ValidationError, MedartsError, TypeError) as error:
        reason = reason_of(error) if isinstance(error, ValidationError) else str(error)
        raise RunError(
            f"this is no {PLAN} and {OUTCOMES} of an experiment: {reason}; allowed is what it logged"
        ) from error


def summary_json(summary: Summary) -> Json:
    """A summary; a number that is not defined is null."""
    return versioned(TABLE, without_nan(_SUMMARY.dump_python(summary, mode="json")))


def read_summary(data: Any) -> Summary:
    """The inverse of `summary_json`.

    Raises:
        RunError: not that shape, or of a newer version.
    """
    data = unversioned(data, TABLE)
    try:
        return _SUMMARY.validate_python({**data, "statistics": [_defined(each) for each in data["statistics"]]})
    except (ValidationError, KeyError, TypeError) as error:
        reason = reason_of(error) if isinstance(error, ValidationError) else f"it lacks {error}"
        raise RunError(f"this is no {TABLE} of an experiment: {reason}; allowed is what it logged") from error


def _defined(statistic: Any) -> Any:
    undefined = isinstance(statistic, dict) and statistic.get("value") is None
    return {**statistic, "value": math.nan} if undefined else statistic
