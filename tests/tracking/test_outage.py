"""Stores that go away in the middle of a search: a stopped server, a locked, full or read-only database."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from factories import make_search_events
from journals import held_of, make_proposed_events, write_journal
from mlflow_server import MlflowServer

from medarts_ops.errors import StoreError
from medarts_ops.observers import SearchEvent, SearchStarted
from medarts_ops.patient_observer import RETRY_SECONDS, PatientObserver
from medarts_ops.proposal_outcomes import PatientProposer
from medarts_ops.tracking.recorders import search_recorder
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores import databases, study_storage
from medarts_ops.tracking.stores import opening as store_module
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.studies.proposer import make_proposer
from medarts_ops.tracking.sync import sync_job


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another connection holds the exclusive lock of a SQLite file."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def told_to(store: RunStore, events: tuple[SearchEvent, ...]) -> RunStore:
    observer = MlflowSearchObserver(store)
    for event in events:
        observer.notify(event)
    return store


@pytest.fixture(scope="module")
def server_back(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[str]:
    """A server that was away for the middle of search `through`, and from the middle to the end of search `cut`."""
    folder = tmp_path_factory.mktemp("outage")
    shutil.copy(template_database, folder / "mlflow.db")
    server, now = MlflowServer(folder), [0.0]
    through, cut = make_search_events("through"), make_search_events("cut")
    try:
        server.start()
        patients = [
            PatientObserver[SearchEvent](MlflowSearchObserver(open_store(server.uri)), lambda: now[0]) for _ in range(2)
        ]
        _tell(patients[0], through[:4])
        _tell(patients[1], cut[:4])
        server.stop()
        for event in through[4:6]:
            now[0] += RETRY_SECONDS
            patients[0].notify(event)
        _tell(patients[1], cut[4:])
        assert [patient.waiting for patient in patients] == [2, len(cut) - 4]
        server.start()
        _tell(patients[0], through[6:])
        assert patients[0].waiting == 0
        yield server.uri
    finally:
        server.stop()


def _tell(patient: PatientObserver[SearchEvent], events: tuple[SearchEvent, ...]) -> None:
    for event in events:
        patient.notify(event)


@pytest.mark.slow
def test_a_search_whose_server_was_away_in_between_is_all_there(server_back: str, store: RunStore) -> None:
    undisturbed = told_to(store, make_search_events("through"))
    assert held_of(open_store(server_back), "through") == held_of(undisturbed, "through")


@pytest.mark.slow
def test_a_search_whose_server_was_away_at_the_end_is_synced(server_back: str, store: RunStore, tmp_path: Path) -> None:
    storage, work_dir = f"sqlite:///{tmp_path / 'optuna.db'}", tmp_path / "work"
    write_journal(work_dir, "cut", make_search_events("cut"))
    undisturbed = held_of(told_to(store, make_search_events("cut")), "cut")
    server = open_store(server_back)
    assert held_of(server, "cut")["cut"]["status"] == "RUNNING"
    for _ in range(2):
        synced = sync_job(work_dir, "cut", tracking_uri=server_back, storage=storage, pictures=False)
        assert (synced.events, synced.state) == (9, "finished")
        assert held_of(server, "cut") == undisturbed


@pytest.mark.parametrize(
    ("pragma", "said"), [("max_page_count = 1", "full"), ("query_only = ON", "readonly")], ids=["full", "read-only"]
)
def test_a_database_that_takes_nothing_more_is_a_store_error(store: RunStore, pragma: str, said: str) -> None:
    events = make_search_events()
    told_to(store, events[:1])

    def spoil(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    sqlalchemy.event.listen(_engine(store), "checkout", spoil)
    run = store.find_run("search-test")
    with pytest.raises(StoreError, match=said):
        for number in range(9):
            store.set_tags(run.run_id, {f"tag-{number}": "x" * 8000})


def test_a_locked_database_holds_the_search_up_for_as_long_as_it_is_locked(tmp_path: Path, store: RunStore) -> None:
    events = make_search_events()
    sqlalchemy.event.listen(_engine(store), "before_cursor_execute", _hasty, retval=True)
    patient = PatientObserver[SearchEvent](MlflowSearchObserver(store), lambda: 0.0)
    _tell(patient, events[:3])
    with locked(tmp_path / "mlflow.db"):
        _tell(patient, events[3:5])
        assert patient.waiting == 2
    _tell(patient, events[5:])
    assert patient.waiting == 0
    assert held_of(store, "search-test")["search-test"]["status"] == "FINISHED"


def _engine(store: RunStore) -> Any:
    return store._client._tracking_client.store.engine


def _hasty(connection: Any, cursor: Any, statement: str, parameters: Any, *_: object) -> tuple[str, Any]:
    # MLflow has SQLite wait 20 s for a lock, whatever the address says.
    return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters


@pytest.fixture
def hasty_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.storages.BaseStorage:
    """A storage that waits for no lock."""
    monkeypatch.setattr(study_storage, "LOCK_SECONDS", 0.1)
    return open_study_storage(f"sqlite:///{tmp_path / 'optuna.db'}")


def test_a_locked_study_storage_holds_back_stages_and_proposals(
    tmp_path: Path, store: RunStore, hasty_studies: optuna.storages.BaseStorage
) -> None:
    started, *others = make_proposed_events()
    assert isinstance(started, SearchStarted)
    write_journal(tmp_path, "search-test", ())
    folder = tmp_path / "search-test"
    recorder = search_recorder(store, hasty_studies, folder, started.config, started.dataset, pictures=False)
    recorder.proposer.propose(0, 3)
    patient = PatientObserver[SearchEvent](recorder.observer, lambda: 0.0)
    _tell(patient, (started, *others[:2]))
    with locked(tmp_path / "optuna.db"):
        _tell(patient, tuple(others[2:-1]))
        assert patient.waiting == 2  # the last individual, which ends the round, and its stage
    patient.notify(others[-1])
    studies = {each.study_name: each for each in optuna.get_all_study_summaries(hasty_studies)}
    assert {name: study.n_trials for name, study in studies.items()} == {
        "search-test/proposals": 3,
        "search-test/init": 3,
    }
    proposals = optuna.load_study(study_name="search-test/proposals", storage=hasty_studies)
    assert [trial.state.name for trial in proposals.trials] == ["COMPLETE", "COMPLETE", "FAIL"]


def test_proposals_go_on_once_what_came_of_the_last_ones_is_told(
    tmp_path: Path, hasty_studies: optuna.storages.BaseStorage
) -> None:
    started = make_proposed_events()[0]
    assert isinstance(started, SearchStarted)
    inner = make_proposer(started.config, "search-test", hasty_studies, started.dataset)
    patient = PatientProposer(inner)
    patient.propose(0, 3)
    outcomes = [event.outcome for event in make_search_events()[4:7]]  # type: ignore[union-attr]
    with locked(tmp_path / "optuna.db"):
        patient.tell(0, outcomes)
        with pytest.raises(StoreError, match="the study storage failed"):
            patient.propose(1, 3)
    patient.propose(1, 3)
    study = optuna.load_study(study_name="search-test/proposals", storage=hasty_studies)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", *["RUNNING"] * 3]


def test_an_unreachable_store_is_found_out_within_half_a_minute() -> None:
    assert store_module.PROBE_SECONDS + store_module.SERVER_SECONDS <= 30
    assert databases.PROBE_SECONDS + study_storage.LOCK_SECONDS <= 30


def test_a_call_to_a_server_that_went_silent_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store_module.MLFLOW_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = RunStore(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        begun = time.monotonic()
        with pytest.raises(StoreError, match="timeout"):
            store.log_metrics("0" * 32, {"val_acc": 1.0})
        assert time.monotonic() - begun < 5
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
