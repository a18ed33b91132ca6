"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32×32, by torchvision."""

from __future__ import annotations

import contextlib
import http.client
import os
import pickle
import shutil
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
            train, test = _parts(source, root)
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


def _parts(source: Any, root: str) -> tuple[Any, Any]:
    """Training and test set in the folder, fetched into it unless they are there."""
    try:
        return source(root, train=True), source(root, train=False)
    except RuntimeError:  # not there, or not whole
        _fetch(source, Path(os.path.expanduser(root)))
    return source(root, train=True), source(root, train=False)


def _fetch(source: Any, root: Path) -> None:
    # torchvision unpacks an archive without a filter, of which Python 3.12 warns; we want a few files of it anyway.
    from torchvision.datasets.utils import download_url

    download_url(source.url, root, source.filename, source.tgz_md5)
    folder = root / source.base_folder
    folder.mkdir(exist_ok=True)
    names = {name for name, _ in (*source.train_list, *source.test_list)} | {source.meta["filename"]}
    wanted = {f"{source.base_folder}/{name}" for name in names}
    with tarfile.open(root / source.filename) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name in wanted else None
            if content is not None:
                with (root / member.name).open("wb") as file:
                    shutil.copyfileobj(content, file)


def _labelled(part: Any) -> LabelledImages:
    return LabelledImages(np.ascontiguousarray(part.data), np.asarray(part.targets, np.int64))
