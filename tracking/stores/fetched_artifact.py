"""An artifact fetched from a store that anybody may have written to."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from medarts_ops.errors import RunError
from medarts_ops.tracking.artifacts.files import inner_path


def fetched_artifact(client: MlflowClient, run_id: str, path: str, folder: Path, max_bytes: int) -> Path:
    """The file of an artifact, fetched into an existing folder.

    Raises:
        RunError: a path that leaves the run's folder, no such artifact, or a larger one.
    """
    target = inner_path(path)
    parent = None if len(target.parts) == 1 else str(target.parent)
    sizes = {info.path: info.file_size for info in client.list_artifacts(run_id, parent)}
    size: int | None = sizes.get(str(target))
    if size is None:
        raise RunError(
            f"run {run_id} has no artifact {path!r}: it has {', '.join(sorted(sizes)) or 'none'} there; `medarts sync` "
            "of its search or evaluation writes what a journal still has"
        )
    if size > max_bytes:
        raise RunError(f"artifact {path!r} of run {run_id} has {size} bytes: allowed are {max_bytes}")
    file = Path(client.download_artifacts(run_id, str(target), str(folder))).resolve()
    # What a server lists and what it sends are two things, and a link may lead anywhere.
    if not file.is_relative_to(folder.resolve()) or file.stat().st_size > max_bytes:
        raise RunError(f"artifact {path!r} of run {run_id} is not the file that the store lists; log it anew")
    return file
