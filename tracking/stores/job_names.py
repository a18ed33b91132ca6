"""A run by a name: a job's own, a part's below its search, or the beginning of its id; or the near miss."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.tracking.stores.databases import without_password
from medarts_ops.tracking.stores.run_queries import id_begins, named, tag_is_not
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import INDIVIDUAL_TAG, JOBS, KIND_TAG, SEARCH_TAG, STAGE_TAG

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

BEGINNING = re.compile(r"[0-9a-f]{8,31}")
"""The beginning of a run id, long enough that it is no accident."""

LISTED = 6
"""Names of parts that an error lists."""


def named_run(store: RunStore, name: str) -> StoredRun:
    """The job of that name; of `<search>/<part>` the stage or individual; or else the run whose id begins so.

    `<search>` is a search's name or run id, `<part>` what `part_name` gives.

    Raises:
        RunError: none or several; one that was deleted is told of.
    """
    # Of parts there may be thousands of one name.
    parts = [tag_is_not(KIND_TAG, part) for words in JOBS.values() for part in words.parts]
    found = job_named(name, store.matching(named(name), *parts)[::-1])
    if found is not None:
        return found
    job, slash, part = name.partition("/")
    if slash and NAME_PATTERN.fullmatch(job):
        return _part_of(store, store.find_run(job), part)
    begun = [run for run in store.matching(id_begins(name)) if run.kind] if BEGINNING.fullmatch(name) else []
    if len(begun) > 1:
        told = ", ".join(f"{run.run_id} ({run.name})" for run in begun[:LISTED])
        raise RunError(f"{len(begun)} run ids begin with {name!r}: give more of one of {told}")
    if begun:
        return begun[0]
    store.check_none_is_deleted(name)
    jobs = [run for kind in JOBS for run in store.all_of_kind(kind)]
    raise no_such_job(name, jobs, without_password(store.uri))


def job_named(name: str, runs: Sequence[StoredRun]) -> StoredRun | None:
    """The job of that name, if it is among the runs; a search goes before an evaluation. RunError if several are."""
    named = [run for kind in JOBS for run in runs if run.kind == kind and run.name == name]
    named = [run for run in named if run.kind == named[0].kind]
    if len(named) > 1:
        ids = ", ".join(run.run_id for run in named)
        raise RunError(f"{len(named)} runs are named {name!r}: give one of the run ids {ids}")
    return named[0] if named else None


def no_such_job(name: str, jobs: Sequence[StoredRun], store: str) -> RunError:
    """What is said of a name that no job has; `store` is its address as it may be shown."""
    known = [run.name for run in jobs] + [run.run_id for run in jobs]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return RunError(
        f"no run {name!r} in {store}: allowed are a run id, or the name of a search, an evaluation or an experiment"
        f"{hint}"
    )


def part_name(run: StoredRun) -> str | None:
    """The name of a stage (`stage-init`) or an individual (`init-02`) below its search; None of other runs."""
    if INDIVIDUAL_TAG in run.tags:
        return run.tags[INDIVIDUAL_TAG]
    return f"stage-{run.tags[STAGE_TAG]}" if STAGE_TAG in run.tags else None


def _part_of(store: RunStore, search: StoredRun, name: str) -> StoredRun:
    if search.kind != "search":
        raise RunError(
            f"{search.kind} {search.name!r} has no part {name!r}: allowed is SEARCH/INDIVIDUAL or SEARCH/STAGE"
        )
    runs = store.runs_of_search(search.experiment_id, search.tags.get(SEARCH_TAG, ""))
    parts = {part: run for run in runs if (part := part_name(run)) is not None}
    if name in parts:
        return parts[name]
    near = difflib.get_close_matches(name, parts, n=1)
    hint = f"; did you mean '{search.name}/{near[0]}'?" if near else ""
    listed = ", ".join(list(parts)[:LISTED]) + (", …" if len(parts) > LISTED else "")
    raise RunError(f"search {search.name!r} has no part {name!r}: allowed are {listed or 'none yet'}{hint}")
