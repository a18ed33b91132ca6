"""Removing the folder of a job, whole or so that nobody takes the rest of it for one."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from medarts_ops.errors import SearchError, os_errors_as


def folder_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def set_aside(folder: Path) -> Path:
    """The name of a folder on its way out, which no job can have."""
    return folder.with_name(f".{folder.name}.deleted")


def remove_folder(folder: Path) -> None:
    """Remove a job's folder; what is left of one that can't be removed whole (SearchError) lies under `set_aside`."""
    # Under its own name half a folder would be taken for a broken search; and a new one may have the name at once.
    aside = set_aside(folder)
    remove_tree(aside)
    with _removing(folder):
        folder.rename(aside)
    remove_tree(aside)


def remove_tree(folder: Path) -> None:
    """Remove a folder that may not be there; raises as `remove_folder`."""
    with _removing(folder), suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _removing(folder: Path) -> AbstractContextManager[None]:
    remedy = "mend that and delete again, or give --keep-work-dir"
    return os_errors_as(SearchError, f"{str(folder)!r} can't be removed", remedy)
