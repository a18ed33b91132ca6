"""The trained network of an evaluation as an MLflow model of its run, which MLflow's own commands load and serve."""

from __future__ import annotations

import re
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medarts_ops.errors import ExportError, MedartsError
from medarts_ops.provenance import installed_version
from medarts_ops.tracking.reading.evaluated_network import find_evaluation, network_of
from medarts_ops.tracking.reading.jobs import Job, run_of_job
from medarts_ops.tracking.runs.photo_model import largest_difference_of_answers, save_photo_model
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import EVALUATION_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from medarts_ops.export.loaded import LoadedNetwork
    from medarts_ops.export.network import TrainedNetwork
    from medarts_ops.tracking.stores.run_store import RunStore

DESCRIPTION_FILE = "MLmodel"


class LoggedNetwork(NamedTuple):
    """Where MLflow has a network: `models:/<model_id>` in the store `tracking_uri`, made by the run `run_id`.

    `largest_difference` is the largest absolute difference of a logit from the network's, loaded from the store; of a
    model that takes photos, of a probability.
    """

    model_id: str
    run_id: str
    tracking_uri: str
    largest_difference: float

    @property
    def model_uri(self) -> str:
        """What MLflow calls it."""
        return f"models:/{self.model_id}"


def log_network(
    evaluation: str | Job,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: Path = Path("medarts-work"),
    any_size: bool = False,
) -> LoggedNetwork:
    """Log the network that an evaluation, given as to `find_evaluation`, trained as a model whose source is its run.

    It is a torch.export archive that runs on a CPU, takes any number of images as floats in 0…255, [image, channel,
    height, width], and normalises them itself. With `any_size` it takes photos instead, files of images in base64 in
    the column `image`, and answers with `class`, `probability` and the `probabilities` of all classes
    (`medarts_ops/export/photo_model.py`). Its metadata hold the network's description under `medarts`. It is
    fetched from the store and compared with the network before MLflow calls it ready. The run itself stays as it is.
    Every call logs a model of its own.

    Raises:
        RunError: as for `find_evaluation`, or an evaluation that the store does not know.
        ExportError: what came back from the store differs from the network by more than rounding; the model is deleted.
        StoreError: the store failed; no model is left that could be taken for one, but for a store that is gone.
        MedartsError: as for `read_trained_network`.
    """
    found = find_evaluation(evaluation, tracking_uri=tracking_uri, experiment=experiment, work_dir=work_dir)
    job = found.job
    store = job.opened_store()
    run = run_of_job(store, job)
    network = network_of(job)
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place) / "saved"
        _save(network, saved, any_size)  # whatever can't be exported fails here, before the store hears of it
        return _log(network, saved, run, store, any_size)


def _save(network: TrainedNetwork, folder: Path, any_size: bool) -> None:
    _import_flavors()
    try:
        (save_photo_model if any_size else _save_array_model)(network, folder)
    except (OSError, RuntimeError) as error:  # torch's writer raises the second on a full disk
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ExportError(
            f"the network can't be written as an MLflow model ({reason}): free some space in "
            f"{tempfile.gettempdir()!r}, or take format pt2"
        ) from error


def _save_array_model(network: TrainedNetwork, folder: Path) -> None:
    import mlflow.pytorch
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from medarts_ops.export.loaded import example_images
    from medarts_ops.export.names import METADATA

    description, pixels = network.description, np.dtype(np.float32)
    images = TensorSpec(pixels, (-1, description.in_channels, *description.resolution))
    logits = TensorSpec(pixels, (-1, len(description.class_names)))
    torch = (installed_version("torch") or "").partition("+")[0]  # a build's own label is in no package index
    mlflow.pytorch.save_model(
        network.module,
        str(folder),
        serialization_format="pt2",
        input_example=example_images(description).numpy(),
        signature=ModelSignature(Schema([images]), Schema([logits])),
        pip_requirements=[f"torch=={torch}"],
        metadata={METADATA: description.model_dump_json()},
    )
    model = Model.load(str(folder))
    # Else MLflow asks for the GPU, if there is one, where such an archive can't be moved to.
    model.flavors["python_function"]["config"] = {"device": "cpu"}
    model.save(str(folder / DESCRIPTION_FILE))


def _log(network: TrainedNetwork, saved: Path, run: StoredRun, store: RunStore, any_size: bool) -> LoggedNetwork:
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    from medarts_ops.tracking.stores.entities import store_errors

    # By explicit ids: MLflow's own `log_model` reads the process's current store and run.
    with store_errors(store.uri):
        client = MlflowClient(tracking_uri=store.uri)
        model = client.create_logged_model(
            run.experiment_id,
            name=re.sub(r"[^\w-]", "-", run.name),  # of a run's name MLflow takes no dot
            source_run_id=run.run_id,
            tags={EVALUATION_TAG: run.tags[EVALUATION_TAG]},
        )
    try:
        with store_errors(store.uri):
            _upload(client, model, saved)
            with tempfile.TemporaryDirectory() as place:
                fetched = download_artifacts(
                    artifact_uri=model.artifact_location, tracking_uri=store.uri, dst_path=place
                )
                difference = _difference(network, fetched, f"models:/{model.model_id}", any_size)
            client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step=0)])
            client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    except BaseException:
        # A store that is gone keeps a pending model; why it is gone is told already.
        with suppress(MedartsError), store_errors(store.uri):
            client.delete_logged_model(model.model_id)
        raise
    return LoggedNetwork(model.model_id, run.run_id, store.uri, difference)


def _difference(network: TrainedNetwork, fetched: str, name: str, any_size: bool) -> float:
    from medarts_ops.export.loaded import largest_difference

    if any_size:
        return largest_difference_of_answers(network, fetched, name)
    return largest_difference(network, read_model(fetched), name)


def _upload(client: MlflowClient, model: LoggedModel, saved: Path) -> None:
    from mlflow.models import Model

    described = Model.load(str(saved))
    described.model_id = described.model_uuid = model.model_id
    described.run_id, described.artifact_path = model.source_run_id, model.artifact_location
    described.save(str(saved / DESCRIPTION_FILE))
    client.log_model_artifacts(model.model_id, str(saved))


def read_model(uri: str) -> LoadedNetwork:
    """The network of an MLflow model that takes arrays, by a local folder or by what else `pyfunc.load_model` takes.

    A model is a pt2 file, which can run what its maker likes (`medarts_ops.export.predict`): take none that you don't
    trust.

    Raises:
        ExportError: its metadata hold no description of ours.
    """
    from medarts_ops.export.loaded import LoadedNetwork, read_description
    from medarts_ops.export.names import METADATA

    _import_flavors()
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(uri, suppress_warnings=True)
    description = read_description((model.metadata.metadata or {}).get(METADATA), uri)
    return LoadedNetwork(description, "pt2", model.predict)


def _import_flavors() -> None:
    with warnings.catch_warnings():
        # MLflow warns of a type hint of its own while it is imported.
        warnings.simplefilter("ignore", UserWarning)
        import mlflow.pyfunc
        import mlflow.pytorch  # noqa: F401
