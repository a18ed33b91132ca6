"""An evaluation's MLflow model as a version in MLflow's registry, with what it is and how good it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from medarts_ops.quantities import percent
from medarts_ops.space.formats import format_darts
from medarts_ops.tracking.reading.contents import genotype_of
from medarts_ops.tracking.reading.jobs import Job, run_of_job
from medarts_ops.tracking.reading.relations import search_of
from medarts_ops.tracking.stores.model_registry import Registered, newest_model, register
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import (
    DATASET_TAG,
    EVALUATION_TAG,
    GENOTYPE_TAG,
    SEARCH_TAG,
    TEST_ERROR,
    TEST_ERROR_TAG,
)

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


def register_network(job: Job, name: str, alias: str | None, *, model_id: str | None = None) -> Registered:
    """Make a logged model of an evaluation, its newest one if none is named, the next version of a name.

    Description and tags say which evaluation and search it is from, its genotype and its test error; an alias that is
    there is moved.

    Raises:
        RunError: an evaluation that the store does not know, or without a logged model.
        StoreError: the store has no registry, or failed.
    """
    store = job.opened_store()
    run = run_of_job(store, job)
    search = search_of(store, run)
    tags = {key: run.tags[key] for key in (EVALUATION_TAG, GENOTYPE_TAG, DATASET_TAG) if key in run.tags}
    if search is not None:
        tags[SEARCH_TAG] = search.name
    if TEST_ERROR in run.metrics:
        tags[TEST_ERROR_TAG] = str(run.metrics[TEST_ERROR])
    chosen = newest_model(store.uri, run) if model_id is None else model_id
    description = "\n\n".join(_sentences(store, run, search))
    return register(store.uri, chosen, run, name, alias, description, tags)


def _sentences(store: RunStore, run: StoredRun, search: StoredRun | None) -> Iterator[str]:
    found_by = "a given genotype" if search is None else f"what search {search.name} found"
    images = run.tags.get(DATASET_TAG, "its images")
    yield f"The network of evaluation {run.name}, which trained {found_by} on {images}."
    if TEST_ERROR in run.metrics:
        yield f"Test error {percent(run.metrics[TEST_ERROR])}."
    genotype = genotype_of(store, run)
    if genotype is not None:
        yield f"```\n{format_darts(genotype)}\n```"
