"""What a run's parameters say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from factories import make_search_config_tiny

from medarts_ops.config import ResultConfig
from medarts_ops.tracking.artifacts.shapes import flattened
from medarts_ops.tracking.reading.contents import deciding_objective
from medarts_ops.tracking.stores.stored_run import StoredRun


def run_with(params: dict[str, str]) -> StoredRun:
    return StoredRun("1", "mine", "search", "FINISHED", "0", None, datetime.now(UTC), None, {}, params, {})


@pytest.mark.parametrize(
    ("result", "deciding"),
    [(ResultConfig(), "accuracy"), (ResultConfig(rule="weighted", weights={"params": 1.0}), "params")],
)
def test_the_objective_that_decided_is_read_back_of_the_parameters(result: ResultConfig, deciding: str) -> None:
    config = make_search_config_tiny().model_copy(update={"result": result})
    assert deciding_objective(run_with({key: str(value) for key, value in flattened(config).items()})) == deciding


@pytest.mark.parametrize("params", [{}, {"result.rule": "luck", "objectives.0.name": "params"}])
def test_where_parameters_say_nothing_it_is_acc_valid(params: dict[str, str]) -> None:
    assert deciding_objective(run_with(params)) == "accuracy"
