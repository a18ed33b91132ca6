"""An evaluated network as an MLflow model: equal to it, of its run, and nowhere when something fails."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow_server import MlflowServer

from medarts_ops.errors import ExportError, RunError, StoreError
from medarts_ops.export import loaded
from medarts_ops.export.loaded import example_images
from medarts_ops.export.network import TrainedNetwork, read_trained_network
from medarts_ops.tracking.evaluation import tracked_evaluation
from medarts_ops.tracking.runs.logged_model import LoggedNetwork, log_network, read_model
from medarts_ops.tracking.stores.opening import open_store


class Place(NamedTuple):
    """A store and a work directory with the finished evaluation `m.ine`."""

    uri: str
    work_dir: Path
    run_id: str
    artifacts: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.uri)

    @property
    def network(self) -> TrainedNetwork:
        return read_trained_network(self.work_dir / "m.ine")

    def models(self) -> list[LoggedModel]:
        experiment = self.client.get_run(self.run_id).info.experiment_id
        return list(self.client.search_logged_models([experiment]))


def evaluated_in(folder: Path, uri: str) -> Place:
    work_dir = folder / "medarts-work"
    genotype = make_genotype("sep_conv_3x3", nodes=2)
    config = make_evaluate_config_tiny()
    found = tracked_evaluation(
        config, genotype=genotype, name="m.ine", tracking_uri=uri, work_dir=work_dir, pictures=False
    )
    return Place(uri, work_dir, found.run_id, folder / "mlruns" / "medarts")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Place:
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copy(template_database, folder / "mlflow.db")
    return evaluated_in(folder, f"sqlite:///{folder}/mlflow.db")


@pytest.fixture(scope="module")
def logged(place: Place) -> LoggedNetwork:
    return log_network("m.ine", tracking_uri=place.uri, work_dir=place.work_dir)


def of_run(place: Place) -> dict[str, Any]:
    """All that the store says of the run but which models came of it."""
    return {key: value for key, value in place.client.get_run(place.run_id).to_dictionary().items() if key != "outputs"}


def test_the_model_gives_the_logits_of_the_network_for_any_number_of_images(place, logged):
    model = place.client.get_logged_model(logged.model_id)
    found = read_model(model.artifact_location)
    network = place.network
    assert found.description == network.description
    for batch in (1, 3):
        images = np.random.default_rng(batch).integers(0, 256, (batch, 1, 8, 8)).astype(np.float32)
        expected = network.module(torch.from_numpy(images)).numpy()
        assert np.abs(found.logits(images) - expected).max() < 1e-5
        assert np.ptp(expected) > 1e-3  # logits that say something
    assert logged.largest_difference < 1e-5


def test_the_model_is_ready_and_of_the_evaluations_run(place, logged):
    model = place.client.get_logged_model(logged.model_id)
    assert (str(model.status), model.source_run_id, model.name) == ("READY", place.run_id, "m-ine")
    assert model.tags["medarts.evaluation_id"] == "m.ine"
    assert model.artifact_location.startswith(place.artifacts.as_uri())
    outputs = place.client.get_run(place.run_id).outputs.model_outputs
    assert logged.model_id in [output.model_id for output in outputs]


def test_the_models_own_file_says_what_it_needs_and_where_it_is_from(place, logged):
    folder = place.artifacts / "models" / logged.model_id / "artifacts"
    model = mlflow.models.Model.load(str(folder))
    assert (model.model_id, model.run_id) == (logged.model_id, place.run_id)
    requirements = (folder / "requirements.txt").read_text().splitlines()
    assert requirements == [f"mlflow=={version('mlflow')}", f"torch=={version('torch').partition('+')[0]}"]
    assert [part.shape for part in (*model.signature.inputs, *model.signature.outputs)] == [(-1, 1, 8, 8), (-1, 10)]
    assert not list(folder.rglob("*.pth"))  # nothing that has to be unpickled


def test_the_run_stays_as_it_was_and_the_process_has_no_current_run_or_other_store(place):
    before, uri = of_run(place), mlflow.get_tracking_uri()
    first, second = (log_network(place.run_id, tracking_uri=place.uri, work_dir=place.work_dir) for _ in range(2))
    assert of_run(place) == before and before["info"]["status"] == "FINISHED"
    assert mlflow.active_run() is None and mlflow.get_tracking_uri() == uri
    assert first.model_id != second.model_id and first.run_id == second.run_id == place.run_id


def test_a_machine_with_a_gpu_loads_it_too(place, logged, monkeypatch):
    monkeypatch.setenv("MLFLOW_DEFAULT_PREDICTION_DEVICE", "cuda")  # what MLflow takes where there is one
    images = example_images(place.network.description).numpy()
    found = read_model(place.client.get_logged_model(logged.model_id).artifact_location)
    assert found.logits(images).shape == (2, 10)


@pytest.mark.slow
def test_it_is_loaded_by_its_uri_without_this_package(place, logged, tmp_path):
    images = example_images(place.network.description)
    np.save(tmp_path / "images.npy", images.numpy())
    code = (
        "import sys, numpy, mlflow\n"
        f"mlflow.set_tracking_uri({place.uri!r})\n"
        f"model = mlflow.pyfunc.load_model({logged.model_uri!r})\n"
        "numpy.save('logits.npy', model.predict(numpy.load('images.npy')))\n"
        "assert 'medarts_ops' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=240)
    expected = place.network.module(images).numpy()
    assert np.abs(np.load(tmp_path / "logits.npy") - expected).max() < 1e-5


def test_the_run_alone_is_enough(place, tmp_path):
    found = log_network(place.run_id, tracking_uri=place.uri, work_dir=tmp_path)
    model = read_model(place.client.get_logged_model(found.model_id).artifact_location)
    assert model.description == place.network.description


def test_a_model_that_differs_from_the_network_is_deleted(place, monkeypatch):
    before = [model.model_id for model in place.models()]
    monkeypatch.setattr(loaded, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="models:/m-[0-9a-f]+' would differ from the network"):
        log_network("m.ine", tracking_uri=place.uri, work_dir=place.work_dir)
    assert [model.model_id for model in place.models()] == before


def test_an_upload_that_fails_leaves_no_model(place, logged):
    before, run = [model.model_id for model in place.models()], of_run(place)
    folder = place.artifacts / "models"
    folder.rename(folder.with_name("aside"))
    folder.touch()  # where MLflow wants a folder
    try:
        with pytest.raises(StoreError, match=r"the tracking store sqlite.* failed") as caught:
            log_network("m.ine", tracking_uri=place.uri, work_dir=place.work_dir)
    finally:
        folder.unlink()
        folder.with_name("aside").rename(folder)
    assert "\n" not in str(caught.value)
    assert [model.model_id for model in place.models()] == before
    assert of_run(place) == run


def test_a_network_that_cannot_be_written_is_one_line_and_leaves_no_model(place):
    before = [model.model_id for model in place.models()]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))  # as a disk that is full before the weights come
    try:
        with pytest.raises(ExportError, match=r"can't be written as an MLflow model \(.+\): free some space") as caught:
            log_network("m.ine", tracking_uri=place.uri, work_dir=place.work_dir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert [model.model_id for model in place.models()] == before


def test_an_evaluation_of_another_store_is_said_to_be_one(place, store):
    with pytest.raises(RunError, match=r"'m\.ine' has no run in sqlite.*--tracking-uri.*medarts sync m\.ine"):
        log_network("m.ine", tracking_uri=store.uri, work_dir=place.work_dir)


@pytest.mark.slow
def test_a_run_that_is_deleted_takes_its_models_along(tmp_path, template_database):
    shutil.copy(template_database, tmp_path / "mlflow.db")
    place = evaluated_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    folder = place.artifacts / "models" / log_network("m.ine", tracking_uri=place.uri, work_dir=place.work_dir).model_id
    assert folder.exists()
    open_store(place.uri).delete_run(place.run_id)
    assert place.models() == [] and not folder.exists()


def test_a_run_that_is_deleted_leaves_models_of_others_alone(place, logged):
    other = place.client.create_run(place.client.get_run(place.run_id).info.experiment_id).info.run_id
    place.client.log_outputs(other, [LoggedModelOutput(logged.model_id, step=0)])
    open_store(place.uri).delete_run(other)
    assert logged.model_id in [model.model_id for model in place.models()]


def test_a_server_keeps_a_model_too(tmp_path, template_database):
    shutil.copy(template_database, tmp_path / "mlflow.db")
    server = MlflowServer(tmp_path)
    server.start()
    try:
        place = evaluated_in(tmp_path, server.uri)
        logged = log_network(place.run_id, tracking_uri=place.uri, work_dir=tmp_path / "elsewhere")
        (model,) = place.models()
        assert (model.model_id, str(model.status)) == (logged.model_id, "READY")
        assert model.artifact_location.startswith("mlflow-artifacts:")
        assert place.client.get_run(place.run_id).info.status == "FINISHED"
    finally:
        server.stop()
