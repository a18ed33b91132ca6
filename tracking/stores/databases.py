"""Database addresses: made absolute, told apart, masked for messages, and tried once before a search relies on them."""

from __future__ import annotations

import fcntl
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from medarts_ops.errors import ConfigError, StoreError, check_is_utf8, os_errors_as

SQLITE = "sqlite:///"
POSTGRES_SCHEMES = ("postgresql", "postgresql+psycopg2", "postgresql+psycopg")

PROBE_SECONDS = 10
"""How long one attempt to reach a database or a server may take."""

OPENING_SECONDS = 120
"""How long an opening waits for others of the same database; MLflow's tables take seconds, on a busy machine more."""

OPENING_KEY = int.from_bytes(b"medarts")
"""Number of the advisory lock that stands for opening a database on its server."""


def scheme_of(address: str) -> str:
    """What stands before `://`, or nothing for a plain path or a `file:` address."""
    return address.partition("://")[0].lower() if "://" in address else ""


def database_address(given: str | None, file_name: str) -> str | None:
    """The address of a database, absolute and with its driver, so that it means the same from every folder.

    None as `given` is the file of that name in the current folder. Gives None for an address of another kind.

    Raises:
        ConfigError: no file, one whose path is not UTF-8, or a database in memory, which nobody could open afterwards.
    """
    if given is None:
        return _file_address(Path.cwd() / file_name)
    scheme, separator, rest = given.partition("://")
    if scheme_of(given) == "sqlite":
        file, question_mark, options = given.removeprefix("sqlite://").removeprefix("/").partition("?")
        if not file or file == ":memory:":
            raise ConfigError(f"{given!r} names no file: allowed is {SQLITE}<path of a .db file>")
        return _file_address(Path(file).resolve()) + question_mark + options
    if scheme_of(given) not in POSTGRES_SCHEMES:
        return None
    # SQLAlchemy 2.0 reads a bare `postgresql://` as psycopg2, 2.1 as psycopg: naming the driver works with both.
    bare = scheme == "postgresql" and find_spec("psycopg2") is not None
    return f"{scheme}+psycopg2{separator}{rest}" if bare else given


def _file_address(file: Path) -> str:
    check_is_utf8(str(file), "the path of the database", ConfigError)
    return SQLITE + file.as_posix()


def sqlite_file(address: str) -> Path | None:
    """The file of a SQLite address; None for every other kind."""
    return Path(address.removeprefix(SQLITE).partition("?")[0]) if address.startswith(SQLITE) else None


def without_password(address: str) -> str:
    """The address as it may be shown."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", address)


@contextmanager
def opening(address: str) -> Iterator[None]:
    """Try the database once, and be the only process that opens it until the block ends.

    MLflow and Optuna look whether their tables are there and then make them, step by step: two that do so at once on
    a new database fail, and may leave it half made. The lock ends with its process, whatever ends that. SQLite's is
    on a file of its own, `.<name>.lock`, which stays: whoever removed it could leave two with a lock each.

    A missing SQLite file and its folder are created. Takes ten seconds where the database can't be reached, and
    waits up to OPENING_SECONDS for other processes.

    Raises:
        StoreError: can't be reached, opened or written, or others took too long; one line.
    """
    file = sqlite_file(address)
    with _server_for_itself(address) if file is None else _file_for_itself(file):
        yield


@contextmanager
def _file_for_itself(file: Path) -> Iterator[None]:
    # A lock on the database itself is, on some file systems, one of those that SQLite takes, and would shut it out.
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = (file.parent / f".{file.name}.lock").open("a")
    except OSError as error:
        raise _unwritable(file, error) from error
    with lock:
        _wait_for(lambda: _try_file_lock(lock, file), str(file))
        _check_sqlite(file)
        yield


def _try_file_lock(lock: IO[str], file: Path) -> bool:
    remedy = "name a file on a file system with locks (flock), for example a local disk"
    with os_errors_as(StoreError, f"the database {file} can't be locked", remedy):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _wait_for(lock: Callable[[], bool], shown: str) -> None:
    end = time.monotonic() + OPENING_SECONDS
    while not lock():
        if time.monotonic() > end:
            raise StoreError(
                f"another process has been opening the database {shown} for {OPENING_SECONDS:g} s: end it, or wait "
                "and try again"
            )
        time.sleep(0.02)


def _check_sqlite(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file, timeout=PROBE_SECONDS, isolation_level=None)) as connection:
            # Taking the write lock reads the header and fails on a read-only file, without changing anything.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: Exception) -> StoreError:
    return StoreError(f"can't write the database {file}: {error}; name another file")


@contextmanager
def _server_for_itself(address: str) -> Iterator[None]:
    shown = without_password(address)
    try:
        # Without a pool the connection, and the lock with it, is gone once it is closed.
        engine = sqlalchemy.create_engine(address, poolclass=NullPool, connect_args={"connect_timeout": PROBE_SECONDS})
    except ModuleNotFoundError as error:
        raise StoreError(f"no driver for {shown}: {error}; install medarts-ops[postgres]") from error
    except SQLAlchemyError as error:
        raise StoreError(f"can't read the address {shown!r}: {first_line(error)}") from error
    try:
        # The lock is the connection's; a transaction left open meanwhile would make others' DDL wait.
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except SQLAlchemyError as error:
        raise _unreachable(shown, error) from error
    with connection:
        _wait_for(lambda: _try_server_lock(connection, shown), shown)
        yield


def _try_server_lock(connection: sqlalchemy.Connection, shown: str) -> bool:
    try:
        return bool(connection.scalar(sqlalchemy.select(sqlalchemy.func.pg_try_advisory_lock(OPENING_KEY))))
    except SQLAlchemyError as error:
        raise _unreachable(shown, error) from error


def _unreachable(shown: str, error: SQLAlchemyError) -> StoreError:
    return StoreError(f"can't reach the database {shown}: {first_line(error.__cause__ or error)}; is the server up?")


def first_line(error: BaseException) -> str:
    """An error's message cut to its first line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
