"""Where a job computes, as its settings say it."""

from __future__ import annotations

import pytest

from medarts_ops.config_runtime import RuntimeConfig


@pytest.mark.parametrize(
    "given, executor",
    [
        ({"ray": {"address": "auto"}}, "ray"),
        ({"executor": "auto", "ray": {"address": "auto"}}, "ray"),
        ({"executor": "local", "ray": {"address": "auto"}}, "local"),
        ({"ray": {"retries": 1}}, "auto"),
        ({}, "auto"),
    ],
)
def test_who_names_a_cluster_computes_there_unless_an_executor_is_named_too(
    given: dict[str, object], executor: str
) -> None:
    config = RuntimeConfig.model_validate(given)
    assert config.executor == executor and config.elsewhere == (executor == "ray")
