"""A job by its name among a store's runs: one, several, or none and the near miss."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from medarts_ops.errors import RunError
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import JOBS


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
