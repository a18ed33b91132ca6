"""The reproducibility record of each process that worked on a run, as an artifact of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.observers import DatasetSummary
from medarts_ops.tracking.vocabulary import RECORDS

if TYPE_CHECKING:
    from medarts_ops.reproducibility import ReproducibilityRecord
    from medarts_ops.tracking.stores.run_store import RunStore


class ReproducibilityLog:
    """Writes this process's record once: `reproducibility/<when it started>.json`; a resumed run has several.

    Args:
        store: where the run is.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._record: ReproducibilityRecord | None = None

    def log(self, run_id: str, config: ResolvedSearchConfig | ResolvedEvaluateConfig, dataset: DatasetSummary) -> None:
        """Write the record; told again, it is the same one.

        Args:
            run_id: a search's or an evaluation's.
            config: its settings, without any `auto`.
            dataset: its images.

        Raises:
            StoreError: the store failed.
        """
        from medarts_ops.reproducibility import reproducibility_record

        if self._record is None:
            self._record = reproducibility_record(config, dataset)
        self._store.log_json(run_id, f"{RECORDS}/{self._record.file_name}", self._record.model_dump(mode="json"))
