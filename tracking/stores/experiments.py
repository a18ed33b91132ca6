"""Getting or creating the experiment that holds our runs."""

from __future__ import annotations

import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from medarts_ops.errors import StoreError
from medarts_ops.tracking.stores.entities import EXISTS


def experiment_id(client: MlflowClient, name: str, artifact_root: Path | None) -> str:
    """The experiment's id; it is created if need be, also when another process does so at the same time.

    Its artifacts go to `<artifact_root>/<name>`, wherever the command was called; a server (None) decides itself.

    Raises:
        StoreError: the experiment was deleted.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=_location(name, artifact_root)))
        except MlflowException as error:
            found = client.get_experiment_by_name(name) if error.error_code == EXISTS else None
            if found is None:
                raise
    return _living(found)


def _location(name: str, artifact_root: Path | None) -> str | None:
    return None if artifact_root is None else (artifact_root / re.sub(r"[^\w.-]", "_", name)).as_uri()


def _living(experiment: Experiment) -> str:
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"experiment {experiment.name!r} was deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )
    return str(experiment.experiment_id)
