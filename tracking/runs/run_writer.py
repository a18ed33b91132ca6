"""What those who write a job's runs ask of a store: the store itself does it, or one that writes what is lacking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from medarts_ops.observers import DatasetSummary
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import RunKind, RunStatus


class RunWriter(Protocol):
    """Each method does what `RunStore`'s of the same name says, and raises StoreError as that does."""

    def experiment_id(self) -> str: ...

    def runs_with(
        self, experiment_id: str | None, tag: str, value: str, *, deleted: bool = False
    ) -> list[StoredRun]: ...

    def create_run(
        self,
        *,
        experiment_id: str,
        kind: RunKind,
        name: str,
        parent_run_id: str | None = None,
        tags: Mapping[str, str],
        params: Mapping[str, object],
    ) -> str: ...

    def remove_half_sent(self, run_id: str) -> None: ...

    def restore(self, run_id: str) -> None: ...

    def reopen(self, run_id: str) -> None: ...

    def finish(self, run_id: str, status: RunStatus) -> None: ...

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None: ...

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None: ...

    def delete_tags(self, run_id: str, keys: Iterable[str]) -> None: ...

    def log_metrics(
        self, run_id: str, values: Mapping[str, float], step: int = 0, milliseconds: int | None = None
    ) -> None: ...

    def steps(self, run_id: str, metric: str) -> set[int]: ...

    def log_dataset(self, run_id: str, dataset: DatasetSummary, context: str) -> None: ...

    def log_json(self, run_id: str, path: str, value: Any) -> None: ...

    def log_file(self, run_id: str, file: Path) -> None: ...

    def log_bytes(self, run_id: str, path: str, content: bytes) -> None: ...

    def artifacts_in(self, run_id: str, folder: str) -> Mapping[str, int | None]: ...
