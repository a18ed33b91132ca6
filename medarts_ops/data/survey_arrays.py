"""A survey of images that are arrays already: an .npz file's, or a dataset's that has a name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import LabelledImages
from medarts_ops.data.registry import DATASETS
from medarts_ops.data.resolution import LARGEST_OWN_SIDE
from medarts_ops.data.survey import Looked, Role, Survey, surveyed


def survey_arrays(config: DatasetConfig) -> Survey:
    """What is in the dataset that `config` names.

    Raises:
        ConfigError: an unknown name, or `data` missing or out of place.
        DataError: it can't be read.
    """
    # At whatever resolution: loaders of arrays keep their size, and refuse large ones that nobody wants made smaller.
    loaded = DATASETS.get(config.name)(config.model_copy(update={"resolution": LARGEST_OWN_SIDE}))
    roles: dict[str, Role] = {"train": "training"}
    images = list(_looked_at("train", loaded.train, loaded.class_names))
    if loaded.test is not None:
        roles["test"] = "test"
        images += _looked_at("test", loaded.test, loaded.class_names)
    return surveyed(
        config.name, config.data, classes=loaded.class_names, roles=roles, images=images, remarks=loaded.remarks
    )


def _looked_at(part: str, labelled: LabelledImages, class_names: Sequence[str]) -> Iterator[Looked]:
    _, height, width, channels = labelled.images.shape
    kind = "grey" if channels == 1 else "colour"
    for index, (image, label) in enumerate(zip(labelled.images, labelled.labels.tolist(), strict=True)):
        digest = hashlib.sha256(image.tobytes()).digest()
        yield Looked(f"{part}[{index}]", part, class_names[label], height, width, kind, "array", image.nbytes, digest)
