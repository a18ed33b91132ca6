"""The journal that a search's run keeps, where the search's folder is gone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError, SearchError
from medarts_ops.journal.folder import using_work_dir
from medarts_ops.journal.job import check_search_goes_on
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import SearchEvent, SearchStarted
from medarts_ops.whole_file import whole_file

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

MAX_JOURNAL_BYTES = 256 * 2**20
"""A journal has a few MB; one of a server that others can write to may have any size."""


def restore_journal(store: RunStore, run_id: str, work_dir: Path, name: str) -> Path:
    """Make the folder of a search in `work_dir`, and give it, from the copy of its journal that its run keeps.

    Raises:
        SearchError: as for `copied_journal`, or a finished search, and before the folder is made; or it can't be.
        StoreError: the store failed.
    """
    folder = work_dir / name
    with copied_journal(store, run_id, work_dir, name) as (journal, file):
        check_search_goes_on(journal)
        with using_work_dir(work_dir):
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(folder / JOURNAL_NAME) as restored:
                restored.write(file.read_bytes())
    return folder


@contextmanager
def copied_journal(
    store: RunStore, run_id: str, work_dir: Path, name: str
) -> Iterator[tuple[Journal[SearchEvent, SearchStarted], Path]]:
    """The journal that a search's run keeps, and its file, which is there as long as this lasts.

    `work_dir` is where the search's folder is not: what an error names. `name` is what the journal has to bear.

    Raises:
        SearchError: the run keeps no journal, since no individual was finished; a corrupt one, or another search's.
        StoreError: the store failed.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        try:
            file = store.download(run_id, JOURNAL_NAME, folder, MAX_JOURNAL_BYTES)
        except RunError as error:
            raise SearchError(
                f"search {name!r} has no folder in {str(work_dir)!r}, and its run keeps no journal to go on from: "
                f"--work-dir names where it was started, or start it anew under another name ({error})"
            ) from error
        found = Journal.open(folder, SEARCH)
        if found.name != name:
            raise SearchError(f"run {run_id} keeps the journal of search {found.name!r}: expected is that of {name!r}")
        yield found, file
