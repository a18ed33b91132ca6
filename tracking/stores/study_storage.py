"""Where Optuna keeps its studies: opened once, tried once, and quiet."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from medarts_ops.config import ResolvedObjective
from medarts_ops.errors import ConfigError, StoreError
from medarts_ops.tracking.stores.databases import (
    SQLITE,
    database_address,
    first_line,
    opening,
    sqlite_file,
    without_password,
)

_logger = logging.getLogger(__name__)

LOCK_SECONDS = 10
"""How long a write waits for another process's on the same SQLite file; Optuna tries some up to five times."""


def open_study_storage(url: str | None) -> BaseStorage:
    """Open Optuna's storage; a fresh database gets its tables here.

    Args:
        url: `sqlite:///<file>` or `postgresql://…`; None is `optuna.db` in the current folder.

    Raises:
        StoreError: a database that can't be reached, opened or written.
        ConfigError: another kind of address, or a SQLite address without a file.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it prints a line for every study and trial
    address = database_address(url, "optuna.db")
    if address is None:
        raise ConfigError(
            f"can't keep studies in {without_password(str(url))!r}: allowed are {SQLITE}<file> and "
            "postgresql://user:password@host/database"
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


@contextmanager
def study_errors() -> Iterator[None]:
    """Turn what Optuna or SQLAlchemy raise into one line.

    Raises:
        StoreError: the storage did not do what it was asked.
    """
    try:
        yield
    except (OptunaError, SQLAlchemyError) as error:
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
