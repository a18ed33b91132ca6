"""Which runs belong together: the search of a run, the individual that it stands for, that one's ancestors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from medarts_ops.errors import RunError
from medarts_ops.tracking.reading.problems import unless_unreadable
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import BEST_TAG, JOB_OF_RUN, JOBS, PARENTS_TAG, RunKind

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class Runs(Protocol):
    """Where runs are found: a store, or what is known of it."""

    def find_run(self, given: str) -> StoredRun:
        """As a store's."""


class KnownRuns:
    """Runs that were read already, and the store for all others; each is asked for once."""

    def __init__(self, store: RunStore, runs: Iterable[StoredRun]) -> None:
        self._store, self._known = store, {run.run_id: run for run in runs}

    def find_run(self, given: str) -> StoredRun:
        """As a store's."""
        if given not in self._known:
            self._known[given] = self._store.find_run(given)
        return self._known[given]

    def fetch(self, run_ids: Iterable[str]) -> list[StoredRun]:
        """Read those of the runs that are not known, together; gives them, but for those that are not there."""
        found = self._store.with_ids([run_id for run_id in run_ids if run_id not in self._known])
        self._known |= found
        return list(found.values())


class Ancestor(NamedTuple):
    """An individual's run and the run ids of its genetic parents, in order (the first gave the normal cell)."""

    run: StoredRun
    parents: tuple[str, ...]


def search_of(store: Runs, run: StoredRun) -> StoredRun | None:
    """The search that a run belongs to, itself if it is one; None for an evaluation of a given genotype."""
    return _followed(store, run, "search", lambda passed: passed.parent_run_id)


class Evaluated(NamedTuple):
    """A run whose genotype is to be trained, and its search, found once; `store` is for that one's experiment."""

    store: RunStore
    run: StoredRun
    search: StoredRun


def find_evaluated(run_id: str, *, tracking_uri: str | None, experiment: str | None = None) -> Evaluated:
    """A run that can be evaluated, by what `find_run` takes: its id, or its name.

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


def chosen_individual(store: Runs, run: StoredRun) -> StoredRun | None:
    """The individual that a run stands for: itself, the best of its stage or search, or the one it evaluates.

    None where there is none yet, or an evaluation was given its genotype by hand.
    """
    return _followed(store, run, "individual", lambda passed: chosen_run_id(passed) or None)


def _followed(
    store: Runs, run: StoredRun, kind: RunKind, named_by: Callable[[StoredRun], str | None]
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
    tag = BEST_TAG if job is None else JOBS[job].chosen_tag
    return None if tag is None else run.tags.get(tag)


def known_relations(store: RunStore, runs: Sequence[StoredRun]) -> KnownRuns:
    """The runs with those that `search_of` and `chosen_individual` find for them, in as many questions as steps."""
    known, waiting = KnownRuns(store, runs), list(runs)
    while waiting:
        named = [(chosen_run_id(run), run.parent_run_id) for run in waiting]
        waiting = known.fetch([run_id for pair in named for run_id in pair if run_id])
    return known


def ancestry(store: RunStore, run: StoredRun, problems: list[str]) -> dict[str, Ancestor]:
    """An individual and all its ancestors by run id, nearest first, back to random individuals.

    A generation is asked for together. A parent that is not there is no entry: `problems` says so. Whatever somebody
    wrote into the tags, a circle is followed once.
    """
    known = KnownRuns(store, [run])
    found: dict[str, Ancestor] = {}
    generation = [run]
    while generation:
        named = {each.run_id: _parents_of(each) for each in generation}
        known.fetch(parent for parents in named.values() for parent in parents)
        following: dict[str, StoredRun] = {}
        for each in generation:
            parents: list[str] = []
            for parent in named[each.run_id]:
                read = unless_unreadable(problems, partial(known.find_run, parent))
                parents.append(parent if read is None else read.run_id)
                if read is not None:
                    following[read.run_id] = read
            found[each.run_id] = Ancestor(each, tuple(parents))
        generation = [each for each in following.values() if each.run_id not in found]
    return found


def _parents_of(run: StoredRun) -> list[str]:
    return list(filter(None, run.tags.get(PARENTS_TAG, "").split(",")))
