"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that gets the name `path` when the block ends well; until then there is what was there before.

    It lies beside `path` under another name, is put on disk (fsync) before it is renamed, and is gone if the block
    raises. An OSError if the disk is full or the folder can't be written; `path` is as it was then.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove what processes that were killed in a `whole_file` left in a folder and below; nobody else writes there."""
    for partial in folder.rglob(".*.partial"):
        with contextlib.suppress(OSError):
            partial.unlink()


def sync_folder(folder: Path) -> None:
    """So that a renaming, too, outlives a loss of power; not every platform opens folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
