"""The digits dataset: 1,797 handwritten digits of 8×8 that scikit-learn brings along, so nothing is downloaded."""

from __future__ import annotations

import numpy as np

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import LabelledImages, LoadedDataset
from medarts_ops.errors import ConfigError


def load_digits(config: DatasetConfig) -> LoadedDataset:
    """Grayscale 8×8 images of ten classes, scaled from 0…16 to 0…255; no test set of their own.

    Raises:
        ConfigError: `data` is given, which would be ignored.
    """
    if config.data is not None:
        raise ConfigError(
            f"dataset.data is {config.data!r}: dataset 'digits' comes with scikit-learn and reads no file; "
            "leave --data out, or give --dataset folder or npz"
        )
    from sklearn import datasets

    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    names = tuple(str(name) for name in digits.target_names)
    return LoadedDataset(names, LabelledImages(images, digits.target.astype(np.int64)), test=None, test_source="")
