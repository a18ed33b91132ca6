"""A dataset that is made up: nothing to download."""

import numpy as np

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import LabelledImages, LoadedDataset


def load_stripes(config: DatasetConfig) -> LoadedDataset:
    """Two classes that differ in the direction of their stripes."""
    rows = np.tile(np.arange(16, dtype=np.uint8) % 2 * 255, (200, 16, 1))[..., None]
    images = np.concatenate([rows, rows.swapaxes(1, 2)])
    labels = np.repeat(np.array([0, 1], dtype=np.int64), 200)
    return LoadedDataset(("upright", "level"), LabelledImages(images, labels), test=None, test_source="")
