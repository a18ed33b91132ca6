"""A network as an MLflow model that takes photos: files of images in base64, of any size, answered with classes."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medarts_ops.provenance import installed_version
from medarts_ops.tracking.runs.carried_code import CARRIED, carried_name, carry

if TYPE_CHECKING:
    from medarts_ops.export.network import TrainedNetwork

CODE = "medarts_ops.export.photo_model"


def save_photo_model(network: TrainedNetwork, folder: Path) -> None:
    """Save the network as a model with its code. Raises what MLflow and torch raise."""
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Map

    from medarts_ops.data.thumbnails import png_text
    from medarts_ops.export.formats import export_network
    from medarts_ops.export.names import METADATA
    from medarts_ops.export.photo_model import CLASS, IMAGE, NETWORK, PROBABILITIES, PROBABILITY

    description = network.description
    grey = np.full((*description.resolution, description.in_channels), 128, np.uint8)
    answer: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, CLASS),
        ColSpec(DataType.double, PROBABILITY),
        ColSpec(Map(DataType.double), PROBABILITIES),
    ]
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # a line on what it looks at
    with tempfile.TemporaryDirectory() as place, _own_code():
        data = Path(place) / "data"
        data.mkdir()
        export_network(network, data / NETWORK, "pt2")
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=carried_name(CODE),
            data_path=str(data),
            code_paths=[str(carry(CODE, Path(place)))],
            input_example=pd.DataFrame({IMAGE: [png_text(grey)]}),
            signature=ModelSignature(Schema([ColSpec(DataType.string, IMAGE)]), Schema(answer)),
            pip_requirements=[f"{name}=={_public_version(name)}" for name in ("torch", "numpy", "pandas", "pillow")],
            metadata={METADATA: description.model_dump_json()},
        )


def largest_difference_of_answers(network: TrainedNetwork, folder: str, name: str) -> float:
    """As `largest_difference_of_photos`, of a model that was read back from a store."""
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from medarts_ops.export.loaded import largest_difference_of_photos
    from medarts_ops.export.photo_model import IMAGE, PROBABILITIES

    with _own_code():
        model = mlflow.pyfunc.load_model(folder, suppress_warnings=True)

        def probabilities(photos: Sequence[str]) -> NDArray[np.float64]:
            answer: Any = model.predict(pd.DataFrame({IMAGE: photos}))
            return np.array([[row[each] for each in network.description.class_names] for row in answer[PROBABILITIES]])

        return largest_difference_of_photos(network, probabilities, name)


def _public_version(package: str) -> str:
    return (installed_version(package) or "").partition("+")[0]  # a build's own label is in no package index


@contextmanager
def _own_code() -> Iterator[None]:
    """What MLflow imports of a model's code inside is this model's, and forgotten afterwards."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
        for name in [name for name in sys.modules if name.partition(".")[0] == CARRIED]:
            del sys.modules[name]
