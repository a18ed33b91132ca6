"""The trained network of an evaluation: from its folder, or from what its run keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError
from medarts_ops.journal.evaluation_folder import RESULT, STARTED, WEIGHTS
from medarts_ops.tracking.reading.jobs import Job, find_job

if TYPE_CHECKING:
    from medarts_ops.export.network import TrainedNetwork

MAX_BYTES = 2 * 2**30
"""Of each file that is fetched: weights of a network that an exported file could not hold are not worth fetching."""


def evaluated_network(
    evaluation: str,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: Path = Path("medarts-work"),
) -> TrainedNetwork:
    """The network that an evaluation trained, without auxiliary head and drop path.

    `evaluation` is its name, or its run's id. The store is not asked where the evaluation's folder is in `work_dir`.

    Raises:
        RunError: no such run, a search, or an evaluation whose run keeps no weights.
        MedartsError: as for `read_trained_network`.
    """
    return network_of(evaluation_job(evaluation, tracking_uri=tracking_uri, experiment=experiment, work_dir=work_dir))


def evaluation_job(evaluation: str, *, tracking_uri: str | None, experiment: str | None = None, work_dir: Path) -> Job:
    """The evaluation that a name or a run id means; as `find_job`, and a RunError if it is a search."""
    job = find_job(evaluation, tracking_uri=tracking_uri, experiment=experiment, work_dir=work_dir)
    if job.kind != "evaluation":
        raise RunError(
            f"{evaluation!r} is a search, which trains no network to keep: evaluate it first, or give one of the "
            f"evaluations that `medarts show {evaluation}` lists"
        )
    return job


def network_of(job: Job) -> TrainedNetwork:
    """The network that an evaluation trained; as for `evaluated_network`."""
    from medarts_ops.export.network import read_trained_network

    if job.run is None or job.is_here:
        return read_trained_network(job.folder)
    store = job.opened_store()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / job.name
        folder.mkdir()
        for name in (STARTED, RESULT, WEIGHTS):
            store.download(job.run.run_id, name, folder, MAX_BYTES)
        return read_trained_network(folder)
