"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32×32, by torchvision."""

from __future__ import annotations

import contextlib
import http.client
import pickle
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import LabelledImages, LoadedDataset
from medarts_ops.errors import DataError


def load_cifar(config: DatasetConfig) -> LoadedDataset:
    """CIFAR-10, or CIFAR-100 with its fine labels, from `data` (default `./data`), downloaded there when absent.

    Raises:
        DataError: it can't be downloaded, written or read.
    """
    from torchvision import datasets

    source = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[config.name]
    root = config.data or "./data"
    try:
        with warnings.catch_warnings():
            # The archives were pickled by Python 2; NumPy 2.4 warns of their dtype's align=0.
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            train = source(root, train=True, download=True)
            test = source(root, train=False, download=False)
    except (OSError, RuntimeError, http.client.HTTPException, tarfile.TarError, EOFError, pickle.PickleError) as error:
        if config.data is None:
            with contextlib.suppress(OSError):
                Path(root).rmdir()  # torchvision made it before it failed; one with files in it stays
        raise DataError(
            f"{config.name} is not in {root!r} and can't be fetched there ({type(error).__name__}: {error}): "
            f"give --data DIR with a folder that holds torchvision's {source.base_folder!r} or {source.filename!r}, "
            "or keep the images in one file and give --dataset npz --data FILE"
        ) from error
    return LoadedDataset(
        tuple(train.classes), _labelled(train), test=_labelled(test), test_source="the dataset's own test set"
    )


def _labelled(part: Any) -> LabelledImages:
    return LabelledImages(np.ascontiguousarray(part.data), np.asarray(part.targets, np.int64))
