"""Getting or creating the experiment that holds our runs."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from medarts_ops.errors import StoreError
from medarts_ops.tracking.stores.entities import EXISTS

EXPERIMENT = "medarts"


def experiment_id(client: MlflowClient, artifact_root: Path | None) -> str:
    """The experiment's id; it is created if need be, also when another process does so at the same time.

    Its artifacts go to a folder of its name in `artifact_root`, wherever the command was called; a server (None)
    decides itself.

    Raises:
        StoreError: the experiment was deleted.
    """
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        location = None if artifact_root is None else (artifact_root / EXPERIMENT).as_uri()
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException as error:
            found = client.get_experiment_by_name(EXPERIMENT) if error.error_code == EXISTS else None
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise StoreError(
            f"experiment {found.name!r} was deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return str(found.experiment_id)
