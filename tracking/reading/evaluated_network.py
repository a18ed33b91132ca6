"""The trained network of an evaluation: from its folder, or from what its run keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medarts_ops.errors import RunError
from medarts_ops.journal.evaluation_folder import RESULT, STARTED, WEIGHTS
from medarts_ops.tracking.reading.jobs import Job, find_job, run_of_job
from medarts_ops.tracking.reading.relations import chosen_individual, chosen_run_id
from medarts_ops.tracking.stores.stored_run import StoredRun

if TYPE_CHECKING:
    from medarts_ops.export.network import TrainedNetwork

MAX_BYTES = 2 * 2**30
"""Of each file that is fetched: weights of a network that an exported file could not hold are not worth fetching."""


class FoundEvaluation(NamedTuple):
    """An evaluation, and the search, stage or individual that was named instead, if it was taken for such a run."""

    job: Job
    taken_for: StoredRun | None


def find_evaluation(
    evaluation: str | Job, *, tracking_uri: str | None, experiment: str | None = None, work_dir: Path
) -> FoundEvaluation:
    """The evaluation that a name or a run id means; one that was found already is given back.

    A search, a stage or an individual means the newest finished evaluation of what was found: of the best individual,
    or of that one.

    Raises:
        RunError: as for `find_job`, or nothing was evaluated yet of what a search, stage or individual found.
        StoreError: the store can't be reached.
    """
    job = find_job(evaluation, tracking_uri=tracking_uri, experiment=experiment, work_dir=work_dir)
    if isinstance(evaluation, Job) or job.kind == "evaluation":
        return FoundEvaluation(job, None)
    if job.kind == "experiment":
        raise RunError(
            f"{job.name!r} is an experiment, which trains several networks: give one of its evaluations, which "
            f"`medarts show {job.name}` lists"
        )
    store = job.opened_store()
    search = run_of_job(store, job)
    named = search if evaluation in (job.name, search.run_id) else store.find_run(evaluation)
    individual = chosen_individual(store, named)
    finished = [
        run
        for run in store.children(search, "evaluation")
        if run.status == "FINISHED" and individual is not None and chosen_run_id(run) == individual.run_id
    ]
    if not finished:
        raise RunError(
            f"{evaluation!r} is of kind {named.kind}, which trains no network to keep, and nothing that it found has a "
            f"finished evaluation: call `medarts evaluate {evaluation}` first, or give one of the evaluations that "
            f"`medarts show {search.run_id}` lists"
        )
    return FoundEvaluation(
        find_job(finished[-1].run_id, tracking_uri=tracking_uri, work_dir=work_dir, store=store), named
    )


def network_of(job: Job) -> TrainedNetwork:
    """The network that an evaluation trained, without auxiliary head and drop path.

    The store is not asked where the evaluation's folder is in its work directory.

    Raises:
        RunError: the evaluation's run keeps no weights.
        MedartsError: as for `read_trained_network`.
    """
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
