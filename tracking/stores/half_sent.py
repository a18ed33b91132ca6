"""What a process that was killed while it sent an artifact left of it in a local folder."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from medarts_ops.tracking.stores.run_deletion import local_path

HALF_SENT = ".artifact.uploading.*"
"""How MLflow names a file beside an artifact until it is whole and gets the artifact's name."""


def remove_half_sent(client: MlflowClient, run_id: str, artifact_root: Path) -> None:
    """Remove such files of a run whose artifacts are below `artifact_root`; nobody else writes that run meanwhile."""
    artifacts = local_path(client.get_run(run_id).info.artifact_uri)
    if artifacts is not None and artifacts.is_relative_to(artifact_root):
        for file in artifacts.rglob(HALF_SENT):
            file.unlink(missing_ok=True)
