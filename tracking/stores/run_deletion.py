"""Deleting a run with all that only it has: artifacts and logged models, which MLflow's own deletion leaves."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient


def delete_run(client: MlflowClient, run_id: str, *, artifacts_are_local: bool) -> bool:
    """Delete a run, its artifacts and models first: a call that was cut off is made up for by another.

    MLflow keeps what it needs to restore a deleted run until `mlflow gc`. Files in a local folder are removed at once;
    those on a server or elsewhere wait for its `mlflow gc`.

    `artifacts_are_local`: whether this store keeps artifacts in a folder of this machine. Says whether they are gone.
    """
    info = client.get_run(run_id).info
    root = None
    if artifacts_are_local:
        root = local_path(client.get_experiment(info.experiment_id).artifact_location)
    # What is removed is the run's own folder where MLflow puts it, whatever else the database says.
    inside = root is not None and local_path(info.artifact_uri) == root / run_id / "artifacts"
    if root is not None and inside and (root / run_id).exists():
        shutil.rmtree(root / run_id)
    _delete_models(client, run_id, str(info.experiment_id), root)
    client.delete_run(run_id)
    return inside


def _delete_models(client: MlflowClient, run_id: str, experiment_id: str, root: Path | None) -> None:
    """Delete the models whose source the run is, unfinished ones too, their local files first."""
    mine = f"source_run_id = '{run_id}'"
    while models := list(client.search_logged_models([experiment_id], mine)):  # a page at a time
        for model in models:
            place = None if root is None else root / "models" / model.model_id
            if place is not None and local_path(model.artifact_location) == place / "artifacts" and place.exists():
                shutil.rmtree(place)
            client.delete_logged_model(model.model_id)


def local_path(uri: str) -> Path | None:
    """The folder of this machine that an artifact's address means, if it is one."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme and Path(uri).is_absolute() else None
