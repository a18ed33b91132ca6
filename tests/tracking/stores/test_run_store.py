"""Opening a store, finding runs in it, and reading their artifacts safely."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import kills
import pytest
from factories import make_dataset_summary
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from medarts_ops.errors import ConfigError, RunError, StoreError
from medarts_ops.tracking.stores import opening as store_module
from medarts_ops.tracking.stores.databases import sqlite_address
from medarts_ops.tracking.stores.opening import open_store, resolve_tracking_uri
from medarts_ops.tracking.stores.run_store import RunStore


def start_run(store: RunStore, name: str = "search-a", **tags: str) -> str:
    return store.create_run(
        experiment_id=store.experiment_id(), kind="search", name=name, tags=tags, params={"seed": 1}
    )


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_no_address_means_a_database_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri(None) == f"sqlite:///{tmp_path.as_posix()}/mlflow.db"


def test_a_relative_sqlite_address_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri("sqlite:///runs/m.db?timeout=9") == f"sqlite:///{tmp_path}/runs/m.db?timeout=9"


@pytest.mark.parametrize("given", ["./mlruns", "file:./mlruns", "file:///data/mlruns", "mlflow.db", ""])
def test_a_plain_path_is_refused_with_what_to_write_instead(given: str) -> None:
    with pytest.raises(ConfigError, match=r"use 'sqlite:///.*\.db'"):
        resolve_tracking_uri(given)


def test_a_path_object_is_refused_in_the_same_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"use 'sqlite:///{tmp_path}/runs/mlflow.db'"):
        resolve_tracking_uri(tmp_path / "runs")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "databricks://x", "mongodb://h/db"])
def test_an_address_that_keeps_nothing_or_is_unknown_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="allowed"):
        resolve_tracking_uri(given)


def test_servers_pass() -> None:
    assert resolve_tracking_uri("http://host:5000/") == "http://host:5000"
    assert resolve_tracking_uri("postgresql://u@h/db").endswith("://u@h/db")


def test_a_dead_server_is_reported_in_one_line_soon(closed_port: int) -> None:
    start = time.monotonic()
    with pytest.raises(StoreError, match="can't reach the tracking server http://127.0.0.1") as caught:
        open_store(f"http://127.0.0.1:{closed_port}")
    assert time.monotonic() - start < 30
    assert "\n" not in str(caught.value)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StoreError, match="can't reach"):
        open_store(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_server_that_hangs_after_the_probe_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SERVER_SECONDS", 0.2)
    released = threading.Event()
    monkeypatch.setattr(store_module, "_check_answers", lambda uri: None)
    monkeypatch.setattr(RunStore, "check", lambda self: released.wait(10))
    with pytest.raises(StoreError, match="no answer within 0.2 s"):
        open_store("http://127.0.0.1:9")
    released.set()


def test_a_dead_database_server_is_reported_without_its_password(closed_port: int) -> None:
    pytest.importorskip("psycopg2")
    with pytest.raises(StoreError, match="can't reach the database") as caught:
        open_store(f"postgresql://user:secret@127.0.0.1:{closed_port}/mlflow")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_database_that_can_not_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="can't write the database"):
        open_store(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database at all, " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db")


DIES_AT_AN_INDEX = (
    "import sys; from kills import die_at_call; from medarts_ops.tracking.stores.opening import open_store\n"
    "die_at_call('alembic.operations:Operations.create_index', 3, after=True); open_store(sys.argv[1])"
)


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_makes_the_tables_leaves_no_half_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "why?"
    uri = sqlite_address(folder / "mlflow.db")
    command = [sys.executable, "-c", DIES_AT_AN_INDEX, uri]
    helpers = {**os.environ, "PYTHONPATH": str(Path(kills.__file__).parent)}
    assert subprocess.run(command, env=helpers).returncode == -signal.SIGKILL
    store = open_store(uri)
    assert store.find_run(start_run(store)).name == "search-a"
    assert sorted(path.name for path in folder.iterdir()) == [".mlflow.db.lock", "mlflow.db"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_store_with_runs_is_opened_as_it_is(store: RunStore) -> None:
    run_id = start_run(store)
    assert open_store(store.uri).find_run(run_id).name == "search-a"


def test_the_experiment_is_made_once_and_keeps_artifacts_beside_the_database(store: RunStore, tmp_path: Path) -> None:
    first, second = store.experiment_id(), store.experiment_id()
    assert first == second
    assert store._client.get_experiment(first).artifact_location == (tmp_path / "mlruns" / "medarts").as_uri()


def test_an_experiment_that_another_process_makes_meanwhile_is_used(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing = store.experiment_id()
    real = store._client.get_experiment_by_name
    answers = iter([None, real("medarts")])
    monkeypatch.setattr(store._client, "get_experiment_by_name", lambda name: next(answers))
    assert store.experiment_id() == existing


def test_a_deleted_experiment_is_named_with_the_way_back(store: RunStore) -> None:
    store._client.delete_experiment(store.experiment_id())
    with pytest.raises(StoreError, match="mlflow experiments restore"):
        store.experiment_id()


def test_a_search_is_found_by_id_and_by_name(store: RunStore) -> None:
    run_id = start_run(store)
    assert store.find_run(run_id) == store.find_run("search-a")


@pytest.mark.parametrize("given", ["0" * 32, "search-b", "../x", "it's"])
def test_an_unknown_run_is_reported(store: RunStore, given: str) -> None:
    start_run(store)
    with pytest.raises(RunError, match="no run"):
        store.find_run(given)


def test_a_near_miss_is_suggested(store: RunStore) -> None:
    start_run(store, "search-digits")
    with pytest.raises(RunError, match="did you mean 'search-digits'"):
        store.find_run("search-digit")


def test_two_searches_of_one_name_are_told_apart_by_id(store: RunStore) -> None:
    ids = {start_run(store), start_run(store)}
    with pytest.raises(RunError, match="2 runs are named") as caught:
        store.find_run("search-a")
    assert all(run_id in str(caught.value) for run_id in ids)


def test_a_run_of_others_is_refused(store: RunStore) -> None:
    foreign = store._client.create_run(store.experiment_id()).info.run_id
    with pytest.raises(RunError, match="not of medarts"):
        store.find_run(foreign)


def test_searches_come_newest_first(store: RunStore) -> None:
    start_run(store, "older")
    time.sleep(0.002)
    start_run(store, "newer")
    assert [run.name for run in store.all_of_kind("search")] == ["newer", "older"]


@pytest.mark.parametrize("path", ["../mlflow.db", "/etc/passwd", "a/../../x.json", "", "C:\\x.json", "file:///x"])
def test_a_path_that_leaves_the_run_is_refused(store: RunStore, path: str) -> None:
    with pytest.raises(RunError, match="not allowed"):
        store.read_json_artifact(start_run(store), path)


def test_an_absent_artifact_is_reported_with_those_that_are_there(store: RunStore) -> None:
    run_id = start_run(store)
    store.log_json(run_id, "config.json", {})
    with pytest.raises(RunError, match="has no artifact 'alpha.json': it has config.json there"):
        store.read_json_artifact(run_id, "alpha.json")


def test_a_large_artifact_is_refused(store: RunStore) -> None:
    run_id = start_run(store)
    store.log_json(run_id, "big.json", list(range(100)))
    with pytest.raises(RunError, match="allowed are 50"):
        store.read_json_artifact(run_id, "big.json", max_bytes=50)


def test_an_artifact_that_is_no_json_is_refused(store: RunStore, tmp_path: Path) -> None:
    run_id = start_run(store)
    (tmp_path / "cell.png").write_bytes(b"\x89PNG\r\n")
    store.log_file(run_id, tmp_path / "cell.png")
    with pytest.raises(RunError, match="no JSON"):
        store.read_json_artifact(run_id, "cell.png")


def test_a_value_that_is_no_json_is_never_written(store: RunStore) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        store.log_json(start_run(store), "x.json", {"loss": float("nan")})


def test_more_parameters_than_one_batch_takes_are_all_stored(store: RunStore) -> None:
    params = {f"p{index}": index for index in range(250)} | {"long": "x" * 7000}
    run_id = store.create_run(experiment_id=store.experiment_id(), kind="search", name="s", tags={}, params=params)
    stored = store.find_run(run_id).params
    assert len(stored) == 251 and len(stored["long"]) == 6000


def test_what_a_killed_process_left_of_an_artifact_is_removed_and_nothing_else(store: RunStore, tmp_path: Path) -> None:
    run_id = start_run(store)
    store.log_text(run_id, "folder/whole.txt", "whole")
    place = Path(unquote(urlsplit(store._client.get_run(run_id).info.artifact_uri).path))
    (place / ".artifact.uploading.3snp1lws").write_text("ha")
    (place / "folder" / ".artifact.uploading.abc").write_text("")
    store.remove_half_sent(run_id)
    assert [path.name for path in place.rglob("*") if path.is_file()] == ["whole.txt"]


def test_a_dataset_that_another_job_named_at_the_same_moment_is_named_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow looks for a dataset, then adds it: of two jobs one comes too late, and is refused by the database."""
    store, real, calls = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}"), MlflowClient.log_inputs, []

    def once_too_late(client: MlflowClient, *given: object) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id")
        real(client, *given)

    monkeypatch.setattr(MlflowClient, "log_inputs", once_too_late)
    run_id = MlflowClient(tracking_uri=store.uri).create_run("0").info.run_id
    store.log_dataset(run_id, make_dataset_summary(), "search")
    (named,) = MlflowClient(tracking_uri=store.uri).get_run(run_id).inputs.dataset_inputs
    assert (named.dataset.name, len(calls)) == ("digits", 2)
