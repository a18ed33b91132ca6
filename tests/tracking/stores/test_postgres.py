"""The compose file's services on this machine: its databases, its MLflow server, and a search that is kept there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from at_once import at_once
from compose_file import ROOT, compose, mounted
from factories import make_dataset_summary, make_search_config_tiny
from mlflow_server import free_port
from postgres_server import PostgresServer, open_both

from medarts_ops.config import ProposalsConfig, RangeConfig
from medarts_ops.observers import SearchEvent

pytestmark = pytest.mark.slow

PASSWORD = "a:b@c/d?e#f%20"
"""What would have to be escaped in an address."""

START_SECONDS = 90  # the compose file's start_period

STAGE = "name: {}, cells: 3, channels: 2, epochs: 1, images: 80, batch: 20, "
TINY = f"stages=[{{{STAGE.format('init')} population: 2}}, {{{STAGE.format('final')} survivors: 1}}]"


class Services(NamedTuple):
    """The compose file with this machine's addresses in it, and where things are."""

    file: dict[str, Any]
    postgres: PostgresServer
    mlflow: str
    artifacts: Path

    def of(self, name: str) -> dict[str, Any]:
        return dict(self.file["services"][name])

    def environment(self, name: str) -> dict[str, str]:
        """This process's environment with the service's variables."""
        return os.environ | self.of(name)["environment"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """The server of the service `postgres`, after the scripts of its first start."""
    service = compose(POSTGRES_PASSWORD=PASSWORD)["services"]["postgres"]
    account = service["environment"]
    server = PostgresServer(account["POSTGRES_USER"], account["POSTGRES_PASSWORD"])
    try:
        server.start()
        server.psql("--file", str(ROOT / mounted(service, "/docker-entrypoint-initdb.d")))
        yield server
    finally:
        server.stop()


def moved(node: Any, places: Mapping[str, str]) -> Any:
    """A part of the compose file with the containers' addresses replaced by this machine's."""
    text = json.dumps(node)
    for inside, here in places.items():
        assert inside in text, f"nothing in the compose file is at {inside}"
        text = text.replace(inside, here)
    return json.loads(text)


@pytest.fixture(scope="module")
def services(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """All services, once the health check of `mlflow` is content."""
    folder = tmp_path_factory.mktemp("composed")
    port = free_port()
    places = {
        "@postgres:5432/": f"@127.0.0.1:{postgres.port}/",
        "http://mlflow:5000": f"http://127.0.0.1:{port}",
        "http://127.0.0.1:5000": f"http://127.0.0.1:{port}",
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=5000": f"--port={port}",
        "--artifacts-destination=/runs": f"--artifacts-destination={folder / 'artifacts'}",
    }
    file = moved(compose(POSTGRES_PASSWORD=PASSWORD), places)
    made = Services(file, postgres, f"http://127.0.0.1:{port}", folder / "artifacts")
    service = made.of("mlflow")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *service["entrypoint"], *service["command"]],
            cwd=folder,
            env=made.environment("mlflow"),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_healthy(process, service["healthcheck"]["test"], folder / "log")
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_healthy(process: subprocess.Popen[bytes], check: list[str], log: Path) -> None:
    """Run the health check until it succeeds."""
    kind, python, *words = check
    assert (kind, python) == ("CMD", "python")
    end = time.monotonic() + START_SECONDS
    while subprocess.run([sys.executable, *words], capture_output=True, check=False).returncode != 0:
        assert process.poll() is None and time.monotonic() < end, log.read_text(encoding="utf-8")[-3000:]
        time.sleep(0.5)


@pytest.fixture(scope="module")
def search(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search run as the service `search-cpu` runs it."""
    folder = tmp_path_factory.mktemp("runs")
    code = "from medarts_ops.cli.main import main; main()"
    words = ["search", "--name", "composed", "--set", TINY, "--set", "runtime.workers=1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=services.environment("search-cpu"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_script_makes_the_databases_that_the_health_check_asks_for(postgres: PostgresServer) -> None:
    made = postgres.psql("--command", "SELECT datname FROM pg_database WHERE NOT datistemplate").split()
    assert sorted(made) == ["mlflow", "optuna", "postgres"]
    kind, program, *words = compose(POSTGRES_PASSWORD=PASSWORD)["services"]["postgres"]["healthcheck"]["test"]
    assert kind == "CMD"
    environment = os.environ | {"PGPORT": str(postgres.port)}
    assert subprocess.run([postgres.program(program), *words], env=environment, check=False).returncode == 0


def test_a_search_is_tracked_by_the_composed_server(services: Services, search: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(services.mlflow)
    experiments = [found.experiment_id for found in client.search_experiments()]
    runs = client.search_runs(experiments, "")
    kinds = sorted((run.data.tags["medarts.kind"], run.info.status) for run in runs)
    assert kinds == [(kind, "FINISHED") for kind in ("individual",) * 3 + ("search",) + ("stage",) * 2]


def test_artifacts_go_through_the_server_into_its_volume(services: Services, search: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(services.mlflow)
    experiments = [found.experiment_id for found in client.search_experiments()]
    (run,) = client.search_runs(experiments, "tags.`medarts.kind` = 'search'")
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    fetched = Path(client.download_artifacts(run.info.run_id, "lineage.json", str(tmp_path)))
    (kept,) = services.artifacts.rglob("lineage.json")
    assert json.loads(fetched.read_text(encoding="utf-8"))["best"] == "final-00"
    assert fetched.read_bytes() == kept.read_bytes()
    assert [path.name for path in search.iterdir()] == ["medarts-work"]


def test_studies_are_in_a_database_of_their_own(services: Services, search: Path) -> None:
    from medarts_ops.tracking.stores.study_storage import open_study_storage, studies_of_search

    storage = open_study_storage(services.postgres.address("optuna"))
    assert sorted(studies_of_search(storage, "composed")) == ["composed/final", "composed/init", "composed/proposals"]


def test_the_tracking_store_may_be_the_database_itself(
    postgres: PostgresServer, events: tuple[SearchEvent, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
    from medarts_ops.tracking.stores.opening import open_store

    postgres.psql("--command", "CREATE DATABASE direct")
    monkeypatch.chdir(tmp_path)  # where artifacts go
    store = open_store(postgres.address("direct"))
    observer = MlflowSearchObserver(store)
    for event in events:
        observer.notify(event)
    assert store.find_run("search-test").status == "FINISHED"
    assert len(store.runs_of_search(observer.experiment_id, "search-test")) == 9
    assert store.read_json_artifact(observer.run_id, "lineage.json")["best"] == "final-02"


def test_two_processes_are_given_the_same_proposals(postgres: PostgresServer) -> None:
    from medarts_ops.tracking.stores.study_storage import open_study_storage
    from medarts_ops.tracking.studies.proposer import OptunaProposer

    space = ProposalsConfig(space={"alpha_lr": RangeConfig(low=3e-4, high=6e-3)})
    config = make_search_config_tiny().model_copy(update={"proposals": space})
    first, second = (
        OptunaProposer(open_study_storage(postgres.address("optuna")), "search-a", config, make_dataset_summary())
        for _ in range(2)
    )
    assert first.propose(0, 3) == second.propose(0, 3)


def status(address: str, host: str) -> int:
    """What the server answers to a request under that name."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Host": host}), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


@pytest.mark.parametrize("host", ["mlflow:5000", "localhost:5000", "127.0.0.1:80", "10.0.0.3:5000", "172.18.0.2:5000"])
def test_the_server_answers_to_its_names_and_to_private_addresses(services: Services, host: str) -> None:
    assert status(f"{services.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", host) == 200


@pytest.mark.parametrize("host", ["evil.example", "mlflow.evil.example:80", "10.evil.example:5000", "172.32.0.1:5000"])
def test_the_server_refuses_every_other_name(services: Services, host: str) -> None:
    assert status(f"{services.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", host) == 403


def test_processes_that_open_new_databases_at_once_all_find_their_tables(postgres: PostgresServer) -> None:
    for database in ("new_mlflow", "new_optuna"):
        postgres.psql("--command", f"CREATE DATABASE {database}")
    call = partial(open_both, postgres.address("new_mlflow"), postgres.address("new_optuna"))
    ended = at_once([call] * 4)
    assert [(each.exit_code, each.refusal) for each in ended] == [(0, None)] * 4
