"""A search and an evaluation through a real MLflow server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import make_evaluation_runtime, make_search_config_tiny
from mlflow_server import MlflowServer

from medarts_ops.config import AugmentConfig, DatasetConfig, EvaluateConfig
from medarts_ops.tracking.evaluation import tracked_evaluation
from medarts_ops.tracking.search import tracked_search
from medarts_ops.tracking.stores.opening import open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[str]:
    """Its address, once it answers."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    (folder / "mlflow.db").write_bytes(template_database.read_bytes())
    running = MlflowServer(folder)
    try:
        running.start()
        yield running.uri
    finally:
        running.stop()


def test_a_search_and_its_evaluation_are_tracked_through_a_server(server, tmp_path):
    found = tracked_search(
        make_search_config_tiny(),
        tracking_uri=server,
        storage=f"sqlite:///{tmp_path / 'optuna.db'}",
        work_dir=tmp_path / "work",
        pictures=False,  # the evaluation's go through the server, too
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
        runtime=make_evaluation_runtime(),
    )
    trained = tracked_evaluation(config, run_id=found.run_id, tracking_uri=server, work_dir=tmp_path)
    assert store.find_run(trained.run_id).parent_run_id == found.run_id
    assert not (tmp_path / "mlruns").exists()  # artifacts went to the server
