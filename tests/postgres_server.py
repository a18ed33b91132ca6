"""A real PostgreSQL server on loopback, as empty as the postgres image's first start and with the same rules."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import pytest
from mlflow_server import free_port

START_SECONDS = 60
ACCOUNT = "postgres"
"""Debian's account for it: PostgreSQL refuses to run as root."""


def programs() -> Path:
    """The folder of PostgreSQL's programs; without, the test is skipped, or fails where MEDARTS_REQUIRE_SYSTEM=1."""
    found = shutil.which("initdb")  # Debian keeps it outside of PATH
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        _missing("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if os.geteuid() == 0 and ACCOUNT not in {entry.pw_name for entry in pwd.getpwall()}:
        _missing(f"PostgreSQL can't run as root, and there is no account {ACCOUNT}")
    return folders[-1]


def _missing(reason: str) -> NoReturn:
    if os.environ.get("MEDARTS_REQUIRE_SYSTEM") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class PostgresServer:
    """A server whose one account has a password by TCP; `stop` removes all that it holds."""

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        self.port = free_port()
        self._programs = programs()
        self._password = password
        # Not pytest's folder, which its account could not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="medarts-postgres-"))
        self._account = ACCOUNT if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster, start it and wait until it answers."""
        secret = self._folder / "secret"
        secret.write_text(self._password, encoding="utf-8")
        if self._account is not None:
            for path in (self._folder, secret):
                shutil.chown(path, self._account)
        data = ["-D", str(self._folder / "data")]
        rules = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        made = self._server_program("initdb", *data, "--username", self.user, *rules)
        assert made.wait(timeout=START_SECONDS) == 0, self._log()
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)]
        self._process = self._server_program("postgres", *data, *where, "-F")
        self._wait(self._process)

    def psql(self, *words: str) -> str:
        """What psql prints on the database `postgres`, run as the image runs the scripts of its first start."""
        rules = ["--variable=ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", "--tuples-only", "--no-align"]
        where = ["--host", str(self._folder), "--port", str(self.port), "--username", self.user, "--dbname=postgres"]
        done = subprocess.run(
            [self.program("psql"), *rules, *where, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def program(self, name: str) -> str:
        """The path of one of PostgreSQL's programs."""
        return str(self._programs / name)

    def address(self, database: str) -> str:
        """The database's address with the password in it."""
        return f"postgresql://{self.user}:{quote(self._password, safe='')}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # ends connections; SIGTERM would wait for the stores' pools
            self._process.wait(timeout=30)
        shutil.rmtree(self._folder)

    def _server_program(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        as_account: dict[str, Any] = {"user": self._account, "group": self._account, "extra_groups": []}
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self.program(name), *words],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **(as_account if self._account is not None else {}),
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        ready = [self.program("pg_isready"), "--quiet", "--host=127.0.0.1", "--port", str(self.port)]
        for _ in range(START_SECONDS * 5):
            assert process.poll() is None, self._log()
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.2)
        raise AssertionError(f"PostgreSQL did not answer within {START_SECONDS} s\n{self._log()}")

    def _log(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8")[-3000:]


def open_both(tracking: str, studies: str) -> None:
    """What a search does first: open the tracking store, then Optuna's storage."""
    from medarts_ops.tracking.stores.opening import open_store
    from medarts_ops.tracking.stores.study_storage import open_study_storage

    open_store(tracking)
    open_study_storage(studies)
