"""A job that is not there: what would be one is said."""

from __future__ import annotations

from medarts_ops.tracking.stores.job_names import no_such_job


def test_every_kind_of_job_is_among_what_is_allowed() -> None:
    said = str(no_such_job("nine", [], "sqlite:///mlflow.db"))
    assert "allowed are a run id, or the name of a search, an evaluation or an experiment" in said
