"""Where Optuna keeps its studies: opened once, tried once, and quiet."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from medarts_ops.config import ResolvedObjective
from medarts_ops.errors import ConfigError, StoreError, os_errors_as
from medarts_ops.tracking.stores.databases import (
    SQLITE,
    database_address,
    first_line,
    opening,
    sqlite_file,
    without_password,
)

_logger = logging.getLogger(__name__)

JOURNAL = "journal:"

LOCK_SECONDS = 10
"""How long a write waits for another process's on the same SQLite file; Optuna tries some up to five times."""


def open_study_storage(url: str | None) -> BaseStorage:
    """Open Optuna's storage; a fresh database gets its tables here.

    Args:
        url: `sqlite:///<file>`, `postgresql://…` or `journal:<file>`, Optuna's log of operations, which machines may
            share on a disk where SQLite's locks don't hold; None is `optuna.db` in the current folder.

    Raises:
        StoreError: a database or file that can't be reached, opened or written.
        ConfigError: another kind of address, or one without a file.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it prints a line for every study and trial
    journal = journal_file(url)
    if journal is not None:
        return _open_journal(journal)
    address = database_address(url, "optuna.db")
    if address is None:
        raise ConfigError(
            f"can't keep studies in {without_password(str(url))!r}: allowed are {SQLITE}<file>, "
            f"{JOURNAL}<file> and postgresql://user:password@host/database"
        )
    engine: dict[str, Any] = {"connect_args": {"connect_timeout": LOCK_SECONDS}}
    if sqlite_file(address) is not None:
        # Without a pool, which nobody would close, a connection is closed after the call that needed it.
        engine = {"connect_args": {"timeout": LOCK_SECONDS}, "poolclass": NullPool}
    _logger.info("the study storage is %s", without_password(address))
    with opening(address):
        try:
            return RDBStorage(address, engine_kwargs=engine)
        except (OptunaError, SQLAlchemyError, RuntimeError) as error:  # RuntimeError: tables of another Optuna
            shown = without_password(address)
            raise StoreError(f"can't open the study storage {shown}: {first_line(error)}") from error


def journal_file(url: str | None) -> Path | None:
    """The file of a `journal:` address, absolute; None for every other kind, a ConfigError if it names none."""
    if url is None or not url.startswith(JOURNAL):
        return None
    path = url.removeprefix(JOURNAL)
    if path.strip("/") in ("", ".", "..") or os.path.isdir(path):  # Path.is_dir raises where a name is too long
        raise ConfigError(f"{url!r} names no file: allowed is {JOURNAL}<path of a .log file>")
    return Path(path).resolve()


def _open_journal(file: Path) -> BaseStorage:
    _logger.info("the study storage is %s%s", JOURNAL, file)
    lock = JournalFileSymlinkLock(str(file))
    with os_errors_as(StoreError, f"can't write the study storage {file}", "name another file"):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        try:
            _without_torn_line(file)
        finally:
            lock.release()
    with study_errors():
        return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))


def _without_torn_line(file: Path) -> None:
    """Cut what a process that died while it wrote left of a line: the next line would be appended to it, unreadable."""
    with file.open("ab+") as log:
        log.seek(0)
        if log.read(1) not in (b"", b"{"):
            raise ConfigError(f"{str(file)!r} is no journal of Optuna's: name another file after {JOURNAL}")
        end = log.seek(0, os.SEEK_END)
        start, line = end, b""
        while start and b"\n" not in line:
            start = max(0, start - 4096)
            log.seek(start)
            line = log.read(end - start)
        log.truncate(start + line.rfind(b"\n") + 1)


@contextmanager
def study_errors() -> Iterator[None]:
    """Turn what Optuna or SQLAlchemy raise into one line.

    Raises:
        StoreError: the storage did not do what it was asked.
    """
    try:
        yield
    except json.JSONDecodeError as error:
        raise StoreError(f"the study storage failed: its journal has a line that is no JSON ({error})") from error
    except (OptunaError, SQLAlchemyError, OSError) as error:
        # Optuna says of every write that failed that its data may have been invalid; SQLite says that it is locked.
        raise StoreError(f"the study storage failed: {first_line(error.__cause__ or error)}") from error


def open_study(storage: BaseStorage, name: str, objectives: Sequence[ResolvedObjective]) -> optuna.Study:
    """The study of that name; a new one gets the objectives' directions, an old one keeps its own."""
    return optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[objective.direction for objective in objectives],
        load_if_exists=True,
    )


def studies_of_search(storage: BaseStorage, search_id: str) -> list[str]:
    """The names of the studies that a search has to itself: its proposals and its stages."""
    with study_errors():
        return [name for name in optuna.get_all_study_names(storage) if name.startswith(f"{search_id}/")]


def name_objectives(study: optuna.Study, objectives: Sequence[ResolvedObjective]) -> None:
    """Name the study's values, so that Optuna's tables and plots do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if study.metric_names is None:
            study.set_metric_names([objective.name for objective in objectives])
