"""Opening the tracking store: its address made unambiguous, MLflow's patience limited, the store tried once.

Only `open_store` imports `run_store`, and with it MLflow, which reads `MLFLOW_DISABLE_TELEMETRY` while it is imported.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from medarts_ops.errors import ConfigError, MedartsError, StoreError, os_errors_as
from medarts_ops.tracking.stores.databases import (
    PROBE_SECONDS,
    SQLITE,
    database_address,
    opening,
    scheme_of,
    sqlite_address,
    sqlite_file,
    without_password,
    without_user,
)
from medarts_ops.whole_file import sync_folder

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)

MLFLOW_ENVIRONMENT = {
    # The defaults, 7 retries of 120 s, let one call to a silent server block training for a quarter of an hour. A
    # retry may also repeat what a slow server does all the same: two runs. Whoever can wait tells the event again.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Queued metrics are lost when the process is killed.
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    # It prints the address of each run that ends on stdout, where our results go.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Its bars would run through our own progress.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
SQLITE_ENVIRONMENT = {
    # MLflow keeps an engine for each database to the process's end, and gives nobody a way to close its connections.
    # Each is closed after the call that needed it instead, which costs about 2 ms.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
}
SERVER_SECONDS = 20
"""How long a server may take over its first answer, beside the probe."""


def open_store(tracking_uri: str | None, *, create: bool = True, experiment: str | None = None) -> RunStore:
    """Open the tracking store and try it once; takes at most 30 s to find out that it can't be reached.

    Processes that open one database at the same time do so one after another: the first makes its tables.

    Args:
        tracking_uri: `sqlite:///<file>`, `postgresql://…` or `http(s)://…`; None is `mlflow.db` in the current folder.
        create: whether a SQLite file that is not there is made; who only reads has more of an error.
        experiment: where jobs are looked for and made, by name or id; None is all, and `medarts` for new ones.

    Raises:
        ConfigError: a plain folder or an unknown kind of address; says what to write instead.
        StoreError: the store is not there, can't be reached or written, or has another MLflow's schema.
    """
    uri = resolve_tracking_uri(tracking_uri)
    file = sqlite_file(uri)
    if file is not None and not create and not file.is_file():
        raise StoreError(
            f"there is no store at {file} yet: run `medarts search` first, or name another by --tracking-uri"
        )
    _logger.info("the tracking store is %s", without_password(uri))
    for name, value in (MLFLOW_ENVIRONMENT if file is None else MLFLOW_ENVIRONMENT | SQLITE_ENVIRONMENT).items():
        os.environ.setdefault(name, value)
    served = scheme_of(uri) in ("http", "https")
    if served:
        _check_answers(uri)
    from medarts_ops.tracking.stores.run_store import RunStore

    if served:
        store = RunStore(uri, None, experiment)
        _check_within(SERVER_SECONDS, store)
        return store
    with opening(uri):  # not before the import, which takes seconds
        if file is not None and file.stat().st_size == 0:
            _make_tables(file)
        # Left to MLflow, artifacts would land in whatever folder is current when the experiment is created.
        store = RunStore(uri, (Path.cwd() if file is None else file.parent) / "mlruns", experiment)
        store.check()
    return store


def _make_tables(file: Path) -> None:
    """Put a database with MLflow's tables in the place of an empty file.

    MLflow makes them in hundreds of steps and can't go on from the middle: a process that is killed meanwhile must not
    leave half of them in the user's file.
    """
    from medarts_ops.tracking.stores.run_store import RunStore

    partial = file.with_name(f".{file.name}.partial")
    with os_errors_as(StoreError, f"can't make the database {file}", "name another file"):
        partial.unlink(missing_ok=True)
        RunStore(sqlite_address(partial), None).check()
        partial.replace(file)
        # What SQLite writes from now on is on disk at once; so must be the name it is written under.
        sync_folder(file.parent)


def resolve_tracking_uri(tracking_uri: str | None) -> str:
    """The address that `open_store` uses, absolute and with its driver; also what `mlflow server` has to be given.

    Raises:
        ConfigError: a plain folder or an unknown kind of address.
    """
    address = database_address(None if tracking_uri is None else str(tracking_uri), "mlflow.db")
    if address is not None:
        return address
    given = str(tracking_uri)
    scheme = scheme_of(given)
    if scheme in ("http", "https"):
        return _server_address(given)
    if scheme in ("", "file"):
        path = Path(given.removeprefix("file:").removeprefix("//") or ".").resolve()
        file = path if path.suffix in (".db", ".sqlite", ".sqlite3") else path / "mlflow.db"
        raise ConfigError(
            f"tracking URI {given!r} is a plain path, which MLflow no longer writes: use {sqlite_address(file)!r}"
        )
    raise ConfigError(
        f"tracking URI {without_password(given)!r} has an unknown kind: allowed are {SQLITE}<file>, postgresql:// and "
        "http(s)://"
    )


def _server_address(given: str) -> str:
    parts = urlsplit(given)
    try:
        readable = parts.port is None or "@" in parts.netloc or "@" not in given
    except ValueError:  # raised where the port is no number
        readable = False
    if not readable:
        raise ConfigError(
            f"tracking URI {without_password(given)!r} can't be read: write an / or # in a password as %2F or %23, "
            "and a port in digits"
        )
    return given.rstrip("/")


def _check_answers(uri: str) -> None:
    shown = without_password(uri)
    try:
        # urllib reads a user and a password as a part of the host; that the server answers, it says to everybody.
        with urllib.request.urlopen(f"{without_user(uri)}/health", timeout=PROBE_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # it answers; whether it is MLflow, the client finds out
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return  # MLflow has its own settings for certificates
        raise StoreError(f"can't reach the tracking server {shown}: {error.reason}; is it up?") from error
    except (OSError, ValueError, HTTPException) as error:
        raise StoreError(f"can't reach the tracking server {shown}: {error}; is it up?") from error


def _check_within(seconds: float, store: RunStore) -> None:
    failures: list[MedartsError] = []

    def check() -> None:
        try:
            store.check()
        except MedartsError as error:
            failures.append(error)

    # A server that accepts and never answers would hold the client for all its retries.
    thread = threading.Thread(target=check, daemon=True, name="medarts-store-check")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise StoreError(f"the tracking server {without_password(store.uri)} gave no answer within {seconds:g} s")
    if failures:
        raise failures[0]
