"""Both stores on a real PostgreSQL server, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import make_dataset_summary, make_search_config_tiny

from medarts_ops.config import ProposalsConfig, RangeConfig
from medarts_ops.observers import SearchEvent
from medarts_ops.tracking.mlflow_search_observer import MlflowSearchObserver
from medarts_ops.tracking.optuna_proposer import OptunaProposer
from medarts_ops.tracking.store import open_store
from medarts_ops.tracking.study_storage import open_study_storage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a throw-away server, without a database."""
    pytest.importorskip("psycopg2", reason="the extra `postgres` is not installed")
    for program in ("initdb", "postgres", "createdb"):
        if shutil.which(program) is None:
            pytest.skip(f"PostgreSQL's {program} is not installed")
    account = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="medarts-pg-"))
    if account is not None:
        shutil.chown(folder, account)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "user": account}
    subprocess.run(["initdb", "-D", data, "-U", "medarts", "-A", "trust", "-N"], check=True, **quiet)
    command = ["postgres", "-D", data, "-p", port, "-k", folder, "-h", "127.0.0.1", "-F"]
    process = subprocess.Popen(command, **quiet)
    try:
        for database in ("mlflow", "optuna"):
            _create(database, port)
        yield f"postgresql://medarts@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # ends connections; SIGTERM would wait for the stores' pools
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _create(database: str, port: str) -> None:
    command = ["createdb", "-h", "127.0.0.1", "-p", port, "-U", "medarts", database]
    for _ in range(50):
        if subprocess.run(command, capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    pytest.skip("PostgreSQL did not start")


def test_a_search_is_tracked_on_a_database_server(
    server: str, events: tuple[SearchEvent, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where artifacts go
    store = open_store(f"{server}/mlflow")
    observer = MlflowSearchObserver(store)
    for event in events:
        observer.notify(event)
    assert store.find_run("search-test").status == "FINISHED"
    assert len(store.runs_of_search(observer.experiment_id, "search-test")) == 9
    assert store.read_json_artifact(observer.search_run_id, "lineage.json")["best"] == "final-02"


def test_proposals_are_kept_on_a_database_server(server: str) -> None:
    space = ProposalsConfig(space={"alpha_lr": RangeConfig(low=3e-4, high=6e-3)})
    config = make_search_config_tiny().model_copy(update={"proposals": space})
    first, second = (
        OptunaProposer(open_study_storage(f"{server}/optuna"), "search-a", config, make_dataset_summary())
        for _ in range(2)
    )
    assert first.propose(0, 3) == second.propose(0, 3)
