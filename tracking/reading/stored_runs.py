"""Reading what a store holds of a run: the search it belongs to, the individual that it stands for, its ancestors."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ConfigDict, ValidationError

from medarts_ops.errors import RunError
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.artifacts.files import unversioned
from medarts_ops.tracking.artifacts.shapes import CONFIG, GENOTYPE, read_genotype, reason_of
from medarts_ops.tracking.runs.search_runs import BEST_TAG
from medarts_ops.tracking.stores.tracked_run import TrackedRun
from medarts_ops.value import Value

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

PARENTS_TAG = "medarts.parents"
EVALUATES_TAG = "medarts.evaluates"


class Ancestor(NamedTuple):
    """An individual's run and the run ids of its genetic parents, in order (the first gave the normal cell)."""

    run: TrackedRun
    parents: tuple[str, ...]


class StoredDataset(Value):
    """What an evaluation takes over of a search's dataset."""

    model_config = ConfigDict(extra="ignore")

    name: str
    data: str | None = None
    resolution: int | None = None
    test_share: float | None = None


class _StoredObjective(Value):
    model_config = ConfigDict(extra="ignore")

    name: str


class StoredSettings(Value):
    """What is read back of a search's settings; the rest may be another release's."""

    model_config = ConfigDict(extra="ignore")

    preset: str
    dataset: StoredDataset
    objectives: tuple[_StoredObjective, ...]


def search_of(store: RunStore, run: TrackedRun) -> TrackedRun | None:
    """The search that a run belongs to, itself if it is one; None for an evaluation of a given genotype."""
    passed: list[str] = []
    while run.kind != "search":
        if run.parent_run_id is None:
            return None
        _check_not_passed(run.run_id, passed)
        run = store.find_run(run.parent_run_id)
    return run


def evaluated_search(store: RunStore, run: TrackedRun) -> TrackedRun:
    """The search of a run that can be evaluated.

    Raises:
        RunError: an evaluation, or a run without its search.
    """
    search = None if run.kind == "evaluation" else search_of(store, run)
    if search is None:
        raise RunError(
            f"run {run.run_id} is of kind {run.kind}: allowed are search, stage and individual; see `medarts runs`"
        )
    return search


def chosen_individual(store: RunStore, run: TrackedRun) -> TrackedRun | None:
    """The individual that a run stands for: itself, the best of its stage or search, or the one it evaluates.

    None where there is none yet, or an evaluation was given its genotype by hand.
    """
    passed: list[str] = []
    while run.kind != "individual":
        named = chosen_run_id(run)
        if not named:
            return None
        _check_not_passed(run.run_id, passed)
        run = store.find_run(named)
    return run


def _check_not_passed(run_id: str, passed: list[str]) -> None:
    # Tags can be edited by anybody: runs that name each other would be followed for ever.
    if run_id in passed:
        raise RunError(f"runs name each other in a circle: {' → '.join([*passed, run_id])}; mend their tags")
    passed.append(run_id)


def chosen_run_id(run: TrackedRun) -> str | None:
    """The run that a search or stage names as its best, or that an evaluation evaluates."""
    return run.tags.get(EVALUATES_TAG if run.kind == "evaluation" else BEST_TAG)


def ancestry(store: RunStore, run: TrackedRun) -> dict[str, Ancestor]:
    """An individual and all its ancestors by run id, nearest first, back to random individuals.

    Every parent of every entry is an entry, whatever somebody wrote into the tags: a circle is followed once.
    """
    known = {run.run_id: run}
    found: dict[str, Ancestor] = {}
    waiting = deque([run])
    while waiting:
        current = waiting.popleft()
        if current.run_id in found:
            continue
        named = filter(None, current.tags.get(PARENTS_TAG, "").split(","))
        parents = [known[parent] if parent in known else store.find_run(parent) for parent in named]
        known |= {parent.run_id: parent for parent in parents}
        found[current.run_id] = Ancestor(current, tuple(parent.run_id for parent in parents))
        waiting += parents
    return found


def objective_names(store: RunStore, search: TrackedRun) -> tuple[str, ...]:
    """The objectives of a search, which are metrics of its individuals' runs."""
    return tuple(objective.name for objective in stored_settings(store, search).objectives)


def stored_settings(store: RunStore, search: TrackedRun) -> StoredSettings:
    """What later commands take over of a search's settings.

    Raises:
        RunError: the search has no `config.json`, or it is not what a search logs.
    """
    return read_settings(store.read_json_artifact(search.run_id, CONFIG))


def objectives_of(run: TrackedRun, names: Sequence[str]) -> dict[str, float]:
    """Those of a run's metrics that are objectives; empty before the run was trained."""
    return {name: run.metrics[name] for name in names if name in run.metrics}


def genotype_of(store: RunStore, run: TrackedRun) -> Genotype | None:
    """The genotype that a run has found or trains; None if it ended before it had one or is still running."""
    if run.kind != "evaluation" and run.status != "FINISHED":
        return None
    return read_genotype(store.read_json_artifact(run.run_id, GENOTYPE))


def read_settings(data: Any) -> StoredSettings:
    """What is read back of a search's `config.json`.

    Raises:
        RunError: not that shape, or of a newer version.
    """
    data = unversioned(data, CONFIG)
    try:
        return StoredSettings.model_validate(data)
    except ValidationError as error:
        raise RunError(f"this is no {CONFIG} of a search: {reason_of(error)}; allowed is what it logged") from error
