"""A search and an evaluation through a real MLflow server on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import make_search_config_tiny

from medarts_ops.config import AugmentConfig, DatasetConfig, EvaluateConfig, RuntimeConfig
from medarts_ops.tracking.store import open_store
from medarts_ops.tracking.tracked import tracked_evaluation, tracked_search

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[str]:
    """Its address, once it answers."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    (folder / "mlflow.db").write_bytes(template_database.read_bytes())
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    words = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port, "--workers", "1"]
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://{address}/health", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(120):
        assert process.poll() is None, "the server ended by itself"
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError("the server did not answer within a minute")


def test_a_search_and_its_evaluation_are_tracked_through_a_server(server, tmp_path):
    found = tracked_search(
        make_search_config_tiny(),
        tracking_uri=server,
        storage=f"sqlite:///{tmp_path / 'optuna.db'}",
        work_dir=tmp_path / "work",
    )
    store = open_store(server)
    search = store.find_run(found.run_id)
    assert (search.kind, search.status) == ("search", "FINISHED")
    assert [run.name for run in store.children(search, "stage")] == ["stage-init", "stage-mid", "stage-final"]
    best = found.result.best
    genotype = store.read_json_artifact(found.run_ids[best.id], "genotype.json")
    assert genotype["normal"] == [list(pair) for pair in best.trained.genotype.normal]
    config = EvaluateConfig(
        dataset=DatasetConfig(low_resolution=False),
        cells=3,
        channels=2,
        epochs=1,
        augment=AugmentConfig(cutout=0),
        runtime=RuntimeConfig(device="cpu", threads=1),
    )
    trained = tracked_evaluation(config, run_id=found.run_id, tracking_uri=server)
    assert store.find_run(trained.run_id).parent_run_id == found.run_id
    assert not (tmp_path / "mlruns").exists()  # artifacts went to the server
