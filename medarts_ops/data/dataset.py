"""What a dataset is: labelled uint8 images for training and testing, checked on entry."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.errors import ConfigError, DataError, check_is_utf8
from medarts_ops.observers import DatasetSummary
from medarts_ops.visible import visible

ALLOWED_CHANNELS = (1, 3)

MOST_CLASSES = 8
"""Classes up to which a line names each with its images."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """`images [image, height, width, channel]` uint8 in 0…255, 1 or 3 channels, and `labels [image]` int64 from 0.

    The arrays are taken as they are, not copied; nobody writes to them. `files` names each image's file, below the
    dataset's folder; it is empty where images have none.

    Raises:
        DataError: another dtype or number of axes, no image, other channels, a label below 0, labels or files too few.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                f"images are {images.dtype} {list(images.shape)}: allowed is uint8 [image, height, width, channel]"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"labels are {labels.dtype} {list(labels.shape)}: allowed is int64 [{len(images)}], one for each image"
            )
        if not images.size:
            raise DataError(f"images are {list(images.shape)}: allowed is one image at least, no axis empty")
        if images.shape[3] not in ALLOWED_CHANNELS:
            raise DataError(f"images have {images.shape[3]} channels: allowed are 1 (grayscale) and 3 (RGB)")
        if len(self.files) not in (0, len(images)):
            raise DataError(f"files are {len(self.files)}: allowed are {len(images)}, one for each image, or none")
        if labels.min() < 0:
            raise DataError(f"labels go down to {labels.min()}: allowed are 0, 1, 2, …")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> LabelledImages:
        """A copy of the images at `indices [image]`, in that order."""
        files = tuple(self.files[index] for index in indices) if self.files else ()
        return LabelledImages(self.images[indices], self.labels[indices], files)


@dataclass(frozen=True, eq=False)
class LoadedDataset:
    """What a loader found: `test` is None where the dataset brings no test set, else `test_source` names it.

    `remarks` are sentences on what the loader passed over.

    Raises:
        DataError: fewer than two classes, a class without training images, a test label without a class,
            or test images of another shape.
    """

    class_names: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages | None
    test_source: str
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_classes(self.class_names, self.train, self.test)


@dataclass(frozen=True)
class ImageShape:
    """What a network's size depends on beside its settings: height, width, channels of images, number of classes."""

    height: int
    width: int
    in_channels: int
    n_classes: int

    @classmethod
    def square(cls, side: int, in_channels: int = 3, n_classes: int = 10) -> ImageShape:
        """Of square images: CIFAR-10's but for the side, if nothing else is said."""
        return cls(side, side, in_channels, n_classes)


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A dataset that is ready for use, checked as `LoadedDataset` is; `test_source` says where the test set is from."""

    name: str
    class_names: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    test_source: str
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_classes(self.class_names, self.train, self.test)

    @property
    def in_channels(self) -> int:
        """1 for grayscale, 3 for RGB."""
        return int(self.train.images.shape[3])

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def resolution(self) -> tuple[int, int]:
        """Height and width of the images, as loaded and resized, before D_low."""
        return self.train.images.shape[1], self.train.images.shape[2]

    @property
    def shape(self) -> ImageShape:
        """That of each image, with the number of classes."""
        return ImageShape(*self.resolution, self.in_channels, self.n_classes)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits of a SHA-256 over class names, images and labels: equal data, equal fingerprint."""
        digest = hashlib.sha256(json.dumps(self.class_names).encode())
        for part in (self.train, self.test):
            for array in (part.images, part.labels.astype("<i8")):
                digest.update(json.dumps(array.shape).encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def summary(self, search_resolution: tuple[int, int] | None) -> DatasetSummary:
        """The dataset in words and numbers; `search_resolution` is what the supernet sees, None in an evaluation."""
        return DatasetSummary(
            name=self.name,
            class_names=self.class_names,
            n_train=len(self.train),
            n_test=len(self.test),
            in_channels=self.in_channels,
            resolution=self.resolution,
            search_resolution=search_resolution,
            test_source=self.test_source,
            fingerprint=self.fingerprint,
            remarks=self.remarks,
            class_counts=tuple(np.bincount(self.train.labels, minlength=self.n_classes).tolist()),
        )


def classes_in_words(dataset: DatasetSummary) -> tuple[str, ...]:
    """A line on the training images of each class, or on the smallest and the largest of many; none if unknown."""
    found = sorted(zip(dataset.class_counts, map(visible, dataset.class_names), strict=False))
    if not found:
        return ()
    listed = ", ".join(f"{name} {count:,}" for count, name in found)
    if len(found) > MOST_CLASSES:
        (least, smallest), (most, largest) = found[0], found[-1]
        listed = f"{least:,} ({smallest}) to {most:,} ({largest}), {len(found):,} classes"
    return (f"training images by class: {listed}",)


def required_data(config: DatasetConfig, what: str) -> str:
    """`config.data`, `~` replaced, of a dataset that can't do without it; `what` says what it must be.

    Raises:
        ConfigError: it is empty.
    """
    if not config.data:
        raise ConfigError(f"dataset {config.name!r} needs dataset.data, which is empty: give --data with {what}")
    return os.path.expanduser(config.data)


def _check_classes(class_names: tuple[str, ...], train: LabelledImages, test: LabelledImages | None) -> None:
    if len(class_names) < 2:
        raise DataError(f"the dataset has one class, {list(class_names)}: allowed are two or more")
    for name in class_names:
        check_is_utf8(name, "the class name", DataError)
    highest = max(int(part.labels.max()) for part in (train, test) if part is not None)
    if highest >= len(class_names):
        raise DataError(f"a label is {highest}: allowed are 0 to {len(class_names) - 1}, one for each class name")
    empty = np.flatnonzero(np.bincount(train.labels, minlength=len(class_names)) == 0)
    if empty.size:
        raise DataError(
            f"class {class_names[empty[0]]!r} has no training image: every class needs some; add them or drop the class"
        )
    if test is not None and test.images.shape[1:] != train.images.shape[1:]:
        raise DataError(
            f"test images are {list(test.images.shape[1:])} and training images {list(train.images.shape[1:])} "
            "[height, width, channel]: both must be equal"
        )
