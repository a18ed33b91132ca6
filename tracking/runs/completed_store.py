"""A tracking store that is compared with what it should hold: only what it lacks is written, and counted."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from medarts_ops.errors import RunError
from medarts_ops.observers import DatasetSummary
from medarts_ops.tracking.stores.stored_run import LONGEST_TAG, StoredRun
from medarts_ops.tracking.vocabulary import DIVERGED_TAG, NOTE_TAG, PARENT_TAG, RunKind, RunStatus

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

LARGEST_COMPARED = 16 * 2**20
"""Bytes of an artifact up to which its content is compared; above, its size is."""


@dataclass
class _Held:
    """What the store has of a run, as far as it was asked: of metrics their keys, and of some their steps."""

    status: str
    tags: dict[str, str]
    params: set[str]
    metrics: set[str] = field(default_factory=set)
    steps: dict[str, set[int]] = field(default_factory=dict)


class CompletedStore:
    """Does what a `RunStore` does to runs, where it is not done yet. Every method raises StoreError as there.

    What people may have changed stays: notes, and metrics and parameters that are there.

    Attributes:
        written: how many `runs`, `restored_runs`, `ended_runs`, `params`, `tags`, `metric_points` and `artifacts` were
            lacking.
        lost: what is lacking and nobody has: `<file> of run <run id>`.
        moment: when what is told happened, in milliseconds since 1970: runs begin and end then, metrics are of then.
            None is now.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._held: dict[str, _Held] = {}
        self._artifacts: dict[tuple[str, str], dict[str, int | None]] = {}  # sizes, by run and folder
        self.written: Counter[str] = Counter()
        self.lost: list[str] = []
        self.moment: int | None = None

    def experiment_id(self) -> str:
        """As the store."""
        return self._store.experiment_id()

    def runs_with(self, experiment_id: str | None, tag: str, value: str, *, deleted: bool = False) -> list[StoredRun]:
        """As the store; the runs are known from here on."""
        runs = self._store.runs_with(experiment_id, tag, value, deleted=deleted)
        for run in runs:
            held = _Held(run.status, dict(run.tags), set(run.params), set(run.metrics))
            self._held.setdefault(run.run_id, held)
        return runs

    def create_run(
        self,
        *,
        experiment_id: str,
        kind: RunKind,
        name: str,
        parent_run_id: str | None = None,
        tags: Mapping[str, str],
        params: Mapping[str, object],
    ) -> str:
        """As the store."""
        run_id = self._store.create_run(
            experiment_id=experiment_id,
            kind=kind,
            name=name,
            parent_run_id=parent_run_id,
            tags=tags,
            params=params,
            milliseconds=self.moment,
        )
        parent = {} if parent_run_id is None else {PARENT_TAG: parent_run_id}
        self._held[run_id] = _Held("RUNNING", {**tags, **parent}, set(params))
        self.written["runs"] += 1
        return run_id

    def remove_half_sent(self, run_id: str) -> None:
        """As the store."""
        self._store.remove_half_sent(run_id)

    def restore(self, run_id: str) -> None:
        """As the store."""
        self._store.restore(run_id)
        self.written["restored_runs"] += 1

    def reopen(self, run_id: str) -> None:
        """As the store."""
        self._store.reopen(run_id)

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End a run, unless it ended so."""
        if self._held[run_id].status != status:
            self._store.finish(run_id, status, self.moment)
            self._held[run_id].status = status
            self.written["ended_runs"] += 1

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        """Log the parameters that the run has under no value."""
        lacking = {key: value for key, value in params.items() if key not in self._held[run_id].params}
        if lacking:
            self._store.log_params(run_id, lacking)
            self._held[run_id].params |= lacking.keys()
            self.written["params"] += len(lacking)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set all of `tags` if one is lacking or differs; a note differs only if another of them does."""
        held = self._held[run_id].tags
        cut = {key: value[:LONGEST_TAG] for key, value in tags.items()}
        lacking = [key for key, value in cut.items() if held.get(key) != value and (key != NOTE_TAG or key not in held)]
        if lacking:
            self._store.set_tags(run_id, cut)
            held.update(cut)
            self.written["tags"] += len(lacking)

    def delete_tags(self, run_id: str, keys: Iterable[str]) -> None:
        """As the store."""
        keys = list(keys)
        self._store.delete_tags(run_id, keys)
        for key in keys:
            del self._held[run_id].tags[key]
        self.written["tags"] += len(keys)

    def log_metrics(
        self, run_id: str, values: Mapping[str, float], step: int = 0, milliseconds: int | None = None
    ) -> None:
        """Log the metrics that have no point at this step."""
        tagged = DIVERGED_TAG in self._held[run_id].tags
        finite = {key: value for key, value in values.items() if math.isfinite(value)}
        lacking = {key: value for key, value in finite.items() if step not in self.steps(run_id, key)}
        diverged = {} if tagged else {key: value for key, value in values.items() if key not in finite}
        if lacking or diverged:
            self._store.log_metrics(run_id, {**lacking, **diverged}, step, self.moment or milliseconds)
            self.written["metric_points"] += len(lacking)
        for key in lacking:
            self.steps(run_id, key).add(step)
        if diverged:
            self._held[run_id].tags[DIVERGED_TAG] = "true"
            self.written["tags"] += 1

    def steps(self, run_id: str, metric: str) -> set[int]:
        """As the store, which is asked once, and not at all where the run has no such metric."""
        held = self._held[run_id]
        if metric not in held.steps:
            held.steps[metric] = self._store.steps(run_id, metric) if metric in held.metrics else set()
        return held.steps[metric]

    def log_dataset(self, run_id: str, dataset: DatasetSummary, context: str) -> None:
        """As the store, which takes equal ones for one."""
        self._store.log_dataset(run_id, dataset, context)

    def log_json(self, run_id: str, path: str, value: Any) -> None:
        """Write plain data as a JSON artifact, unless it is there."""
        self.log_text(run_id, path, json.dumps(value, indent=1, allow_nan=False))

    def log_text(self, run_id: str, path: str, text: str) -> None:
        """Write a text artifact, unless it is there."""
        content = text.encode()
        if not self._has(run_id, path, content):
            self._store.log_text(run_id, path, text)
            self._note(run_id, path, len(content))

    def log_bytes(self, run_id: str, path: str, content: bytes) -> None:
        """As the store: whoever makes a picture asks before whether it is there."""
        self._store.log_bytes(run_id, path, content)
        self._note(run_id, path, len(content))

    def log_file(self, run_id: str, file: Path) -> None:
        """Write a file as an artifact, unless it is there; one that is neither here nor there is `lost`."""
        if not file.exists():
            if file.name not in self.artifacts_in(run_id, ""):
                self.lost.append(f"{file.name} of run {run_id}")
            return
        size = file.stat().st_size
        is_there = self.artifacts_in(run_id, "").get(file.name) == size
        if not is_there or (size <= LARGEST_COMPARED and not self._has(run_id, file.name, file.read_bytes())):
            self._store.log_file(run_id, file)
            self._note(run_id, file.name, size)

    def artifacts_in(self, run_id: str, folder: str) -> Mapping[str, int | None]:
        """As the store, which is asked once."""
        if (run_id, folder) not in self._artifacts:
            self._artifacts[run_id, folder] = self._store.artifacts_in(run_id, folder)
        return self._artifacts[run_id, folder]

    def _has(self, run_id: str, path: str, content: bytes) -> bool:
        if self.artifacts_in(run_id, _folder_of(path)).get(path) != len(content):
            return False
        with tempfile.TemporaryDirectory() as folder:
            try:
                return self._store.download(run_id, path, Path(folder), len(content)).read_bytes() == content
            except RunError:
                return False

    def _note(self, run_id: str, path: str, size: int) -> None:
        self._artifacts.setdefault((run_id, _folder_of(path)), {})[path] = size
        self.written["artifacts"] += 1


def _folder_of(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent
