"""Databases are opened by one process at a time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from at_once import at_once

from medarts_ops.errors import StoreError
from medarts_ops.tracking.stores import databases
from medarts_ops.tracking.stores.databases import opening
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage

HOLD = (
    "import sys, time; from medarts_ops.tracking.stores.databases import opening\n"
    "with opening(sys.argv[1]):\n print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/new/x.db"


@pytest.fixture
def holder(address: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is opening the database and does not come to an end."""
    with subprocess.Popen([sys.executable, "-c", HOLD, address], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_opening_waits_for_the_first(address: str) -> None:
    opened = threading.Event()

    def second() -> None:
        with opening(address):
            opened.set()

    thread = threading.Thread(target=second)
    with opening(address):
        thread.start()
        assert not opened.wait(0.3)
    assert opened.wait(10)
    thread.join()


def test_another_database_is_opened_meanwhile(address: str) -> None:
    with opening(address), opening(address.replace("x.db", "y.db")):
        pass


@pytest.mark.usefixtures("holder")
def test_an_opening_that_never_ends_is_reported_with_the_database(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "OPENING_SECONDS", 0.1)
    with pytest.raises(StoreError, match=r"another process has been opening the database .*x\.db for 0\.1 s"):
        with opening(address):
            pass


def test_a_killed_process_leaves_nothing_locked(
    address: str, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "OPENING_SECONDS", 5)
    holder.kill()
    with opening(address):
        pass


def test_a_failed_opening_leaves_nothing_locked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "OPENING_SECONDS", 0.1)
    with pytest.raises(ZeroDivisionError), opening(address):
        raise ZeroDivisionError
    with opening(address):
        pass


def test_a_lock_that_can_not_be_written_is_reported_in_one_line(address: str, tmp_path: Path) -> None:
    (tmp_path / "new" / ".x.db.lock").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"can't write the database .*x\.db: .*directory") as caught:
        with opening(address):
            pass
    assert "\n" not in str(caught.value)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize("opener", [open_store, open_study_storage])
def test_a_database_that_stays_locked_is_said_to_be_with_how_to_find_who_holds_it(
    opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LOCKED_SECONDS", 0.1)
    file = tmp_path / "the x.db"
    said = rf"another process has locked the database {file} for 0\.1 s: `fuser -v '{file}'` shows which"
    with locked(file), pytest.raises(StoreError, match=said):
        opener(f"sqlite:///{file}")


def test_a_database_that_is_locked_for_a_while_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, opened = tmp_path / "x.db", threading.Event()

    def second() -> None:
        with opening(f"sqlite:///{file}"):
            opened.set()

    thread = threading.Thread(target=second)
    with locked(file):
        thread.start()
        assert not opened.wait(1.2)
        assert "another process has locked the database" in caplog.text and "waiting up to 60 s" in caplog.text
    assert opened.wait(10)
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("opener", [open_store, open_study_storage])
def test_processes_that_open_one_new_database_at_once_all_find_its_tables(opener, address: str) -> None:
    ended = at_once([partial(opener, address)] * 3)
    assert [(each.exit_code, each.refusal) for each in ended] == [(0, None)] * 3
