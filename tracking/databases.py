"""Database addresses: made absolute, told apart, masked for messages, and tried once before a search relies on them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from medarts_ops.errors import ConfigError, StoreError

SQLITE = "sqlite:///"
POSTGRES_SCHEMES = ("postgresql", "postgresql+psycopg2", "postgresql+psycopg")
PROBE_SECONDS = 10
"""How long one attempt to reach a database or a server may take."""


def default_sqlite(file_name: str) -> str:
    """The address of a database file in the current folder."""
    return SQLITE + (Path.cwd() / file_name).as_posix()


def scheme_of(address: str) -> str:
    """What stands before `://`, or nothing for a plain path or a `file:` address."""
    return address.partition("://")[0].lower() if "://" in address else ""


def absolute_sqlite(address: str) -> str:
    """`address` with its file made absolute, so that it means the same from every folder.

    Options behind a `?` are kept.

    Raises:
        ConfigError: no file, or a database in memory, which nobody could open afterwards.
    """
    file, question_mark, options = address.removeprefix("sqlite://").removeprefix("/").partition("?")
    if not file or file == ":memory:":
        raise ConfigError(f"{address!r} names no file: allowed is {SQLITE}<path of a .db file>")
    return SQLITE + Path(file).resolve().as_posix() + question_mark + options


def sqlite_file(address: str) -> Path | None:
    """The file of a SQLite address; None for every other kind."""
    if not address.startswith(SQLITE):
        return None
    return Path(address.removeprefix(SQLITE).partition("?")[0])


def with_installed_driver(address: str) -> str:
    """A `postgresql://` address with the driver that is installed named in it.

    SQLAlchemy 2.0 reads a bare `postgresql://` as psycopg2, 2.1 as psycopg: naming the driver works with both.
    """
    scheme, separator, rest = address.partition("://")
    if scheme == "postgresql" and find_spec("psycopg2") is not None:
        return f"{scheme}+psycopg2{separator}{rest}"
    return address


def without_password(address: str) -> str:
    """The address as it may be shown."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", address)


def check_database(address: str) -> None:
    """Open the database once and take its write lock, or connect to its server.

    Takes at most about ten seconds. A missing SQLite file and its folder are created.

    Raises:
        StoreError: can't be reached, opened or written; one line.
    """
    file = sqlite_file(address)
    if file is not None:
        _check_sqlite(file)
    else:
        _check_server(address)


def _check_sqlite(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=PROBE_SECONDS, isolation_level=None)) as connection:
            # Taking the write lock reads the header and fails on a read-only file, without changing anything.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"can't write the database {file}: {error}; name another file") from error


def _check_server(address: str) -> None:
    shown = without_password(address)
    try:
        engine = sqlalchemy.create_engine(address, connect_args={"connect_timeout": PROBE_SECONDS})
    except ModuleNotFoundError as error:
        raise StoreError(f"no driver for {shown}: {error}; install medarts-ops[postgres]") from error
    except SQLAlchemyError as error:
        raise StoreError(f"can't read the address {shown!r}: {first_line(error)}") from error
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        reason = first_line(error.__cause__ or error)
        raise StoreError(f"can't reach the database {shown}: {reason}; is the server up?") from error
    finally:
        engine.dispose()


def first_line(error: BaseException) -> str:
    """An error's message cut to its first line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
