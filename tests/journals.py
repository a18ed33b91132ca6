"""Journals of searches that never ran, and what a store holds of a search, to compare two stores."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factories import make_search_events

from medarts_ops.config import ProposalsConfig, RangeConfig
from medarts_ops.journal.folder import create_job_folder
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import ProcessStarted, SearchEvent, SearchStarted, StageStarted
from medarts_ops.tracking.vocabulary import PICTURES
from medarts_ops.tracking.vocabulary import RECORDS as FOLDER

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


OF_THE_TELLER = {JOURNAL_NAME, FOLDER, PICTURES}
"""Artifacts that depend on who tells the events: one without a journal, or one that did not do the work."""


def new_journal(folder: Path, name: str) -> Journal[SearchEvent, SearchStarted]:
    """The journal of a new search in its folder."""
    journal = Journal(SEARCH, name)
    journal.keep_in(folder)
    return journal


def write_journal(work_dir: Path, name: str, events: Sequence[SearchEvent]) -> None:
    """The folder of a search whose journal holds these events."""
    journal = new_journal(create_job_folder(work_dir, name), name)
    for event in events:
        if isinstance(event, StageStarted):
            time.sleep(0.002)  # stages begin one after another, by a clock of milliseconds
        journal.record(event)


def without_digests(content: bytes) -> bytes:
    """A journal as releases before digests, and before times, wrote it."""
    header, *entries = lines = [json.loads(line) for line in content.splitlines()]
    for line in lines:
        del line["digest"]
        line.pop("at", None)
    of_a_search = {"format": header["format"], "version": 1, "search_id": header["name"]}
    older = of_a_search if header["kind"] == "search" else header | {"version": 2}
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in (older, *entries))


def make_proposed_events(
    name: str = "search-test", make: Callable[[str], tuple[SearchEvent, ...]] = make_search_events
) -> tuple[SearchEvent, ...]:
    """What `make` gives, of a search whose learning rates of α were proposed."""
    started, *others = make(name)
    assert isinstance(started, SearchStarted)
    space = ProposalsConfig(space={"alpha_lr": RangeConfig(low=3e-4, high=6e-3)})
    config = started.config.model_copy(update={"proposals": space})
    return started.model_copy(update={"config": config}), *others


def make_process_started() -> ProcessStarted:
    """A process that began to work on a search."""
    return ProcessStarted(name="20260101T120000Z.json", record={"kind": "search", "packages": {"torch": "2.14.1"}})


def held_of(store: RunStore, name: str) -> dict[str, dict[str, Any]]:
    """Of each run of a search: status, params, tags and every metric's points without times; ids are names in it."""
    runs = store.runs_of_search(store.experiment_id(), name)
    names = {run.run_id: run.name for run in runs}
    assert len(set(names.values())) == len(runs), "a run is doubled"
    held = {}
    for run in runs:
        points = {key: store._client.get_metric_history(run.run_id, key) for key in run.metrics}
        tags = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.source")}
        for run_id, known_as in names.items():
            tags = {key: value.replace(run_id, known_as) for key, value in tags.items()}
        held[run.name] = {
            "status": run.status,
            "params": run.params,
            "tags": tags,
            "points": {key: sorted((point.step, point.value) for point in each) for key, each in points.items()},
            "artifacts": sorted({info.path for info in store._client.list_artifacts(run.run_id)} - OF_THE_TELLER),
        }
    return held
