"""`mlflow models serve` on loopback: the logits of an evaluated network, over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype
from mlflow_server import free_port
from refusals import invoke

from medarts_ops.data.registry import load_dataset
from medarts_ops.export.network import read_trained_network
from medarts_ops.tracking.evaluation import tracked_evaluation

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 120
CONFIG = make_evaluate_config_tiny()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Path:
    """A store and a work directory with the finished evaluation `mine`."""
    made = tmp_path_factory.mktemp("served")
    shutil.copy(template_database, made / "mlflow.db")
    uri, work_dir = f"sqlite:///{made}/mlflow.db", made / "medarts-work"
    places = {"tracking_uri": uri, "work_dir": work_dir}
    tracked_evaluation(CONFIG, genotype=make_genotype(nodes=2), name="mine", pictures=False, **places)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where the evaluation's network answers."""
    uri = f"sqlite:///{folder}/mlflow.db"
    words = ("--format", "mlflow", "--tracking-uri", uri, "--work-dir", str(folder / "medarts-work"), "--json")
    exported = invoke("export", "mine", *words)
    assert exported.exit_code == 0, exported.output
    port = str(free_port())
    serve = ["models", "serve", "-m", json.loads(exported.stdout)["model_uri"], "--env-manager", "local"]
    programs = str(Path(sys.executable).parent)  # MLflow looks for its own there
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *serve, "--host", "127.0.0.1", "--port", port],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server, folder / "log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(2 * PATIENCE_SECONDS):
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])


def answered(address: str, content: dict[str, Any]) -> np.ndarray:
    request = urllib.request.Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
        return np.asarray(json.load(response)["predictions"])


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_images_get_the_logits_of_the_network(address, folder, key, batch):
    images = load_dataset(CONFIG.dataset).test.images[:batch].transpose(0, 3, 1, 2)
    expected = read_trained_network(folder / "medarts-work" / "mine").module(torch.from_numpy(images).float()).numpy()
    assert np.abs(answered(address, {key: images.tolist()}) - expected).max() < 1e-5
    assert np.ptp(expected) > 1e-3  # logits that say something


def test_images_of_another_size_are_refused(address):
    with pytest.raises(urllib.error.HTTPError) as caught:
        answered(address, {"inputs": np.zeros((1, 1, 9, 9)).tolist()})
    with caught.value as answer:
        assert answer.code == 400 and b"shape" in answer.read()
