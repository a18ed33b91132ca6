"""The journal of a search as an artifact of its run, so that a search outlives its work directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.journal.journal import JOURNAL_NAME
from medarts_ops.observers import (
    IndividualFinished,
    PopulationPruned,
    SearchEvent,
    SearchFinished,
    SearchStopped,
    StageFinished,
)

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter

WORTH_COPYING = (PopulationPruned, IndividualFinished, StageFinished, SearchFinished, SearchStopped)
"""Events that no checkpoint in the work directory could bring back as cheaply."""


class JournalCopy:
    """Copies the journal in a search's folder to its run whenever an individual, a stage or the search ends.

    `run_id` gives the search's run id, once it has started.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(self, store: RunWriter, folder: Path, run_id: Callable[[], str]) -> None:
        self._store, self._file, self._run_id = store, folder / JOURNAL_NAME, run_id
        self._copied = -1

    def notify(self, event: SearchEvent) -> None:
        """Take note of what is worth a copy; the same journal is copied once."""
        if not isinstance(event, WORTH_COPYING):
            return
        size = self._file.stat().st_size
        if size != self._copied:
            self._store.log_file(self._run_id(), self._file)
            self._copied = size
