"""Which runs belong together: the search of a run, the individual that it stands for, that one's ancestors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from medarts_ops.errors import RunError
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import BEST_TAG, JOB_OF_RUN, JOBS, PARENTS_TAG, RunKind

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class Ancestor(NamedTuple):
    """An individual's run and the run ids of its genetic parents, in order (the first gave the normal cell)."""

    run: StoredRun
    parents: tuple[str, ...]


def search_of(store: RunStore, run: StoredRun) -> StoredRun | None:
    """The search that a run belongs to, itself if it is one; None for an evaluation of a given genotype."""
    return _followed(store, run, "search", lambda passed: passed.parent_run_id)


class Evaluated(NamedTuple):
    """A run whose genotype is to be trained, and its search, found once; `store` is for that one's experiment."""

    store: RunStore
    run: StoredRun
    search: StoredRun


def find_evaluated(run_id: str, *, tracking_uri: str | None, experiment: str | None = None) -> Evaluated:
    """A run that can be evaluated, by its id, or by its name if it is a search.

    Raises:
        RunError: no such run, an evaluation, or a run without its search.
        StoreError: the store can't be reached.
    """
    store = open_store(tracking_uri, create=False, experiment=experiment)
    run = store.find_run(run_id)
    search = search_of(store, run) if JOB_OF_RUN.get(run.kind) == "search" else None
    if search is None:
        raise RunError(
            f"run {run.run_id} is of kind {run.kind}: allowed are search, stage and individual; see `medarts runs`"
        )
    return Evaluated(store.within(search.experiment_id), run, search)


def chosen_individual(store: RunStore, run: StoredRun) -> StoredRun | None:
    """The individual that a run stands for: itself, the best of its stage or search, or the one it evaluates.

    None where there is none yet, or an evaluation was given its genotype by hand.
    """
    return _followed(store, run, "individual", lambda passed: chosen_run_id(passed) or None)


def _followed(
    store: RunStore, run: StoredRun, kind: RunKind, named_by: Callable[[StoredRun], str | None]
) -> StoredRun | None:
    """The first run of a kind, from `run` on to whatever each names; None where one names none."""
    passed: list[str] = []
    while run.kind != kind:
        named = named_by(run)
        if named is None:
            return None
        # Tags can be edited by anybody: runs that name each other would be followed for ever.
        if run.run_id in passed:
            raise RunError(f"runs name each other in a circle: {' → '.join([*passed, run.run_id])}; mend their tags")
        passed.append(run.run_id)
        run = store.find_run(named)
    return run


def chosen_run_id(run: StoredRun) -> str | None:
    """The run that a search or stage names as its best, or that an evaluation evaluates."""
    job = JOB_OF_RUN.get(run.kind)
    return run.tags.get(BEST_TAG if job is None else JOBS[job].chosen_tag)


def ancestry(store: RunStore, run: StoredRun) -> dict[str, Ancestor]:
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
