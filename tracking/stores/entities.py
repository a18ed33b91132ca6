"""MLflow's entities from and to the values of this room, and its errors as ours."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from medarts_ops.errors import StoreError
from medarts_ops.observers import DatasetSummary
from medarts_ops.tracking.stores.databases import first_line, without_password
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import KIND_TAG, PARENT_TAG

ABSENT = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"
DIGEST_LENGTH = 36


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow, SQLAlchemy or the file system raise into one line.

    Raises:
        StoreError: the store did not do what it was asked.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, json.JSONDecodeError) as error:  # the last: a proxy's own page
        hint = "; run `mlflow db upgrade <tracking URI>`" if "out-of-date database schema" in str(error) else ""
        shown = without_password(uri)
        said = first_line(error).replace(uri, shown)  # MLflow names the whole address of a request that failed
        raise StoreError(f"the tracking store {shown} failed: {said}{hint}") from error


def finite_metrics(values: Mapping[str, float], step: int, milliseconds: int) -> list[Metric]:
    """The finite ones of `values` as metrics of one step, stamped with milliseconds since 1970.

    MLflow stores an infinity as ±1.8e308, which wrecks every chart that it is part of.
    """
    return [Metric(key, float(value), milliseconds, step) for key, value in values.items() if math.isfinite(value)]


def dataset_input(dataset: DatasetSummary, context: str) -> DatasetInput:
    """The dataset as an input of a run: name, fingerprint and sizes, no data."""
    entity = Dataset(
        name=dataset.name,
        digest=dataset.fingerprint[:DIGEST_LENGTH],
        source_type="local",
        source=dataset.model_dump_json(include={"name", "test_source"}),
        profile=dataset.model_dump_json(
            include={"n_train", "n_test", "in_channels", "resolution", "search_resolution"}
        ),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", context)])


def stored_run(run: Run) -> StoredRun:
    """The run as a value of this room."""
    tags = dict(run.data.tags)
    ended = run.info.end_time
    return StoredRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        kind=tags.get(KIND_TAG, ""),
        status=run.info.status,
        experiment_id=run.info.experiment_id,
        parent_run_id=tags.get(PARENT_TAG),
        started=_instant(run.info.start_time),
        ended=None if ended is None else _instant(ended),
        tags=tags,
        params=dict(run.data.params),
        metrics={key: _logged(value) for key, value in run.data.metrics.items()},
    )


def _logged(value: float) -> float:
    # We log finite numbers alone; others log infinities, which come back from MLflow as the largest finite ones.
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value


def _instant(milliseconds: int) -> datetime:
    # Others may have written one that no calendar has: such a run must not hide the rest.
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
