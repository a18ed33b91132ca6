"""Database addresses: made absolute, told apart, masked for messages, and tried once before a search relies on them."""

from __future__ import annotations

import fcntl
import logging
import re
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import IO
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from medarts_ops.errors import ConfigError, StoreError, check_is_utf8, os_errors_as

_logger = logging.getLogger(__name__)

SQLITE = "sqlite:///"
SQLITE_DRIVER = "sqlite+pysqlite"
POSTGRES_SCHEMES = ("postgresql", "postgresql+psycopg2", "postgresql+psycopg")

PROBE_SECONDS = 10
"""How long one attempt to reach a database or a server may take."""

OPENING_SECONDS = 120
"""How long an opening waits for others of the same database; MLflow's tables take seconds, on a busy machine more."""

LOCKED_SECONDS = 60
"""How long a SQLite file that another process writes to is tried again; a write takes far less."""

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
        return sqlite_address(Path.cwd() / file_name)
    scheme, separator, rest = given.partition("://")
    if scheme_of(given) in ("sqlite", SQLITE_DRIVER):
        url = make_url(SQLITE + rest.removeprefix("/"))
        if not url.database or url.database == ":memory:":
            raise ConfigError(f"{given!r} names no file: allowed is {SQLITE}<path of a .db file>")
        return sqlite_address(Path(url.database).resolve(), url.query)
    if scheme_of(given) not in POSTGRES_SCHEMES:
        return None
    if given.count("@") > 1:  # SQLAlchemy takes the first for the end of the password, and shows the rest of it
        raise ConfigError(f"address {without_password(given)!r} has more than one @: write one in a password as %40")
    # SQLAlchemy 2.0 reads a bare `postgresql://` as psycopg2, 2.1 as psycopg: naming the driver works with both.
    bare = scheme == "postgresql" and find_spec("psycopg2") is not None
    return f"{scheme}+psycopg2{separator}{rest}" if bare else given


def sqlite_address(file: Path, options: Mapping[str, str | Sequence[str]] = MappingProxyType({})) -> str:
    """The address of a SQLite file, whatever the folders on its way are called.

    A path that would be read as another one, for a `%2F` or a `?` in it, is quoted, and so is a brace, which Optuna
    takes for a template's. Such an address names the driver: MLflow makes the folder of one that does not, unread.

    Raises:
        ConfigError: the path is not UTF-8, or has a `?`, for which SQLAlchemy 2.0 has no address.
    """
    path = file.as_posix()
    check_is_utf8(path, "the path of the database", ConfigError)
    built = URL.create(SQLITE_DRIVER, database=path, query=dict(options)).render_as_string(hide_password=False)
    plain = SQLITE + path
    if make_url(plain).database == path and not re.search("[{}]", path):
        _, question_mark, shown_options = built.partition("?")
        return plain + question_mark + shown_options
    if make_url(built).database != path:
        raise ConfigError(f"SQLAlchemy {sqlalchemy.__version__} can't open {path!r}: update it, or use another folder")
    return built


def sqlite_file(address: str) -> Path | None:
    """The file of a SQLite address; None for every other kind."""
    return Path(make_url(address).database or "") if scheme_of(address) in ("sqlite", SQLITE_DRIVER) else None


def without_password(address: str) -> str:
    """The address as it may be shown: what may be of a password, up to the last @, is hidden."""
    hidden = re.sub(r"(://[^:/?@]*):.*@", r"\1:***@", address, flags=re.DOTALL)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", hidden)


def without_user(address: str) -> str:
    """The address of a server without user and password."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@contextmanager
def opening(address: str) -> Iterator[None]:
    """Try the database once, and be the only process that opens it until the block ends.

    MLflow and Optuna look whether their tables are there and then make them, step by step: two that do so at once on
    a new database fail, and may leave it half made. The lock ends with its process, whatever ends that. SQLite's is
    on a file of its own, `.<name>.lock`, which stays: whoever removed it could leave two with a lock each.

    A missing SQLite file and its folder are created. Takes ten seconds where the database can't be reached, and
    waits up to OPENING_SECONDS for other processes that open it, and up to LOCKED_SECONDS for one that locks it.

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
        _wait_for(lambda: _try_file_lock(lock, file), *_being_opened(str(file)))
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


def _wait_for(lock: Callable[[], bool], seconds: float, taken: str, remedy: str) -> None:
    end = time.monotonic() + seconds
    while not lock():
        if time.monotonic() > end:
            raise StoreError(f"{taken} for {seconds:g} s: {remedy}")
        time.sleep(0.02)


def _being_opened(shown: str) -> tuple[float, str, str]:
    """For how long an opening is waited for, and what is said of one that never ends."""
    return OPENING_SECONDS, f"another process has been opening the database {shown}", "end it, or wait and try again"


def _check_sqlite(file: Path) -> None:
    taken = f"another process has locked the database {file}"
    remedy = f"`fuser -v {shlex.quote(str(file))}` shows which; end it, or wait and try again"
    if not _try_to_write(file):
        _logger.warning("%s: waiting up to %g s for it", taken, LOCKED_SECONDS)
        _wait_for(lambda: _try_to_write(file), LOCKED_SECONDS, taken, remedy)


def _try_to_write(file: Path) -> bool:
    """Whether the database can be written now; False where another process has locked it."""
    try:
        # SQLite waits without hearing Ctrl-C.
        with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
            # Taking the write lock reads the header and fails on a read-only file, without changing anything.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # above are bits that say more
            return False
        raise _unwritable(file, error) from error
    return True


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
    except (SQLAlchemyError, ValueError) as error:  # ValueError: a port that is no number
        raise StoreError(f"can't read the address {shown!r}: {first_line(error)}") from error
    try:
        # The lock is the connection's; a transaction left open meanwhile would make others' DDL wait.
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except SQLAlchemyError as error:
        raise _unreachable(shown, error) from error
    with connection:
        _wait_for(lambda: _try_server_lock(connection, shown), *_being_opened(shown))
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
