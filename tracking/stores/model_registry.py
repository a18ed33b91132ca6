"""MLflow's registry of models: versions of a name, and aliases that point at one of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.environment_variables import MLFLOW_TRACKING_URI
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from medarts_ops.errors import ConfigError, RunError
from medarts_ops.tracking.stores.entities import ABSENT, EXISTS, store_errors
from medarts_ops.tracking.stores.stored_run import LONGEST_TAG, StoredRun

NOT_THERE = frozenset((ABSENT, "INVALID_PARAMETER_VALUE"))
"""What MLflow says where a name has no alias: the second where it knows the name."""


class Registered(NamedTuple):
    """A version of a name; `replaced` is the version that the alias pointed at before, if any did."""

    name: str
    version: int
    alias: str | None
    replaced: int | None

    @property
    def model_uri(self) -> str:
        """What MLflow calls it: by its alias, or else by its version."""
        return f"models:/{self.name}" + (f"/{self.version}" if self.alias is None else f"@{self.alias}")


def check_can_be_registered(uri: str, name: str, alias: str | None) -> None:
    """Ask the store's registry of a name and an alias without writing anything.

    Raises:
        ConfigError: no name or alias that MLflow takes.
        StoreError: the store has no registry, or can't be reached.
    """
    if not name.strip() or name in (".", "..") or any(sign in name for sign in "/:"):
        raise ConfigError(f"--register is {name!r}: allowed is a name without / and :; give another")
    taken = alias is None or re.fullmatch(r"[\w-]{1,255}", alias, re.ASCII)
    if not taken or re.fullmatch(r"latest|v\d+", alias or "", re.IGNORECASE):
        raise ConfigError(
            f"--alias is {alias!r}: allowed are letters, digits, _ and -, but not latest and v1, v2, …; give another"
        )
    with store_errors(uri):
        MlflowClient(tracking_uri=uri).search_registered_models(max_results=1)


def newest_model(uri: str, run: StoredRun) -> str:
    """The id of the newest finished model that was logged of a run.

    Raises:
        RunError: there is none.
        StoreError: the store failed.
    """
    with store_errors(uri):
        found = MlflowClient(tracking_uri=uri).search_logged_models(
            [run.experiment_id],
            f"source_run_id = '{run.run_id}'",
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
        )
    for model in found:
        if model.status == LoggedModelStatus.READY:
            return str(model.model_id)
    raise RunError(
        f"evaluation {run.name!r} has no logged model: give --format mlflow beside --register, which logs one first"
    )


def register(
    uri: str, model_id: str, run: StoredRun, name: str, alias: str | None, description: str, tags: Mapping[str, str]
) -> Registered:
    """Make a logged model the next version of a name, which is made if need be, and let the alias point at it.

    Raises:
        StoreError: the store has no registry, or failed.
    """
    with store_errors(uri):
        client = MlflowClient(tracking_uri=uri)
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != EXISTS:
                raise
        replaced = None if alias is None else _version_at(client, name, alias)
        with _current_store(uri):
            made = client.create_model_version(
                name,
                f"models:/{model_id}",
                run_id=run.run_id,
                model_id=model_id,
                description=description,
                tags={key: value[:LONGEST_TAG] for key, value in tags.items()},
            )
        if alias is not None:
            client.set_registered_model_alias(name, alias, made.version)
        _note_version(client, model_id, name, made.version)
    return Registered(name, int(made.version), alias, replaced)


@contextmanager
def _current_store(uri: str) -> Iterator[None]:
    """Make a store the process's own for a while: there, not in the client's, MLflow looks for a version's model."""
    before, variable = mlflow.get_tracking_uri(), os.environ.get(MLFLOW_TRACKING_URI.name)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # as it is before anybody sets one
        if variable is not None:
            os.environ[MLFLOW_TRACKING_URI.name] = variable
        if mlflow.get_tracking_uri() != before:
            mlflow.set_tracking_uri(before)


def _note_version(client: MlflowClient, model_id: str, name: str, version: str) -> None:
    """Note on the logged model what it is registered as, where MLflow's pages look for that."""
    noted = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    versions = json.dumps([*noted, {"name": name, "version": version}])
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: versions})


def _version_at(client: MlflowClient, name: str, alias: str) -> int | None:
    try:
        return int(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        return None
