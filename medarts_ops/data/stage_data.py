"""The images of one stage: D_sample, its halves for w and α, and the statistics to normalise by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.data.archive import UNREADABLE, declared_arrays, read_array, unreadable_reason
from medarts_ops.data.dataset import ImageShape, LabelledImages
from medarts_ops.data.proxy import ChannelStatistics, Indices, sample_indices, stratified_halves, stratified_split
from medarts_ops.errors import DataError, SearchError
from medarts_ops.individual import Yardstick
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.whole_file import whole_file


@dataclass(frozen=True, eq=False)
class StageData:
    """What every individual of a stage trains on.

    `images [image, height, width, channel]` uint8 and `labels [image]` int64 are D_sample at the resolution
    that the supernet sees. `weight_indices` step w, `alpha_indices` step α, `valid_indices` measure acc_valid:
    all `[index]` int64 into the images. `mean [channel]` and `std [channel]`, float64 in 0…1, are of *all*
    training images at that resolution.

    Raises:
        DataError: indices that are empty or out of range, or statistics that do not fit the channels.
    """

    images: NDArray[np.uint8]
    labels: Indices
    weight_indices: Indices
    alpha_indices: Indices
    valid_indices: Indices
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    n_classes: int

    def __post_init__(self) -> None:
        n, channels = len(LabelledImages(self.images, self.labels)), self.images.shape[3]
        for name in ("weight_indices", "alpha_indices", "valid_indices"):
            indices: Indices = getattr(self, name)
            if indices.dtype != np.int64 or indices.ndim != 1 or not indices.size:
                got = f"{indices.dtype} {list(indices.shape)}"
                raise DataError(f"{name} are {got}: allowed is int64 [index], not empty")
            if indices.min() < 0 or indices.max() >= n:
                raise DataError(f"{name} go from {indices.min()} to {indices.max()}: allowed are 0 to {n - 1}")
        if self.labels.max() >= self.n_classes:
            raise DataError(f"a label is {self.labels.max()}: allowed are 0 to {self.n_classes - 1}")
        if not _are_statistics(self.mean, channels) or not _are_statistics(self.std, channels) or self.std.min() <= 0:
            raise DataError(
                f"mean {self.mean} and std {self.std}: allowed is one finite float64 of each of {channels} channels, "
                "std > 0"
            )

    def yardstick(self, batch: int) -> Yardstick:
        """What accuracies on these images are held against, where w is stepped on `batch` of them at a time."""
        counts = np.bincount(self.labels[self.valid_indices])
        steps = math.ceil(len(self.weight_indices) / batch)
        return Yardstick(images=int(counts.sum()), chance=float(counts.max() / counts.sum()), steps=steps)

    @property
    def shape(self) -> ImageShape:
        """That of each image, with the number of classes."""
        height, width, in_channels = self.images.shape[1:]
        return ImageShape(height, width, in_channels, self.n_classes)

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz; under its name there is either the whole file or the one before.

        Raises:
            SearchError: the disk is full or the folder can't be written.
        """
        try:
            with whole_file(path) as file:
                np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        except (OSError, ValueError) as error:  # zipfile's own complaint of an archive that broke off is a ValueError
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise SearchError(
                f"stage data {str(path)!r} can't be written: {reason}; free some space or mend the folder, then resume"
            ) from error

    @classmethod
    def load(cls, path: Path) -> StageData:
        """Read what `save` wrote.

        Raises:
            DataError: missing, torn or not such a file.
        """
        try:
            declared = declared_arrays(path)
            missing = [field.name for field in fields(cls) if field.name not in declared]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
            found: dict[str, Any] = {field.name: read_array(path, declared[field.name]) for field in fields(cls)}
            n_classes = found["n_classes"]
            if n_classes.shape != () or n_classes.dtype.kind not in "iu":
                raise ValueError(f"n_classes is {n_classes.dtype} {list(n_classes.shape)}, allowed is one whole number")
            return cls(**{**found, "n_classes": int(n_classes)})
        except (*UNREADABLE, DataError) as error:
            raise DataError(
                f"stage data {str(path)!r} can't be read ({unreadable_reason(error)}): delete the file and resume "
                "the search, which writes it again"
            ) from error


def _are_statistics(values: NDArray[np.float64], channels: int) -> bool:
    return values.dtype == np.float64 and values.shape == (channels,) and bool(np.isfinite(values).all())


def prepare_stage_data(
    train: LabelledImages,
    class_names: Sequence[str],
    stage: StageConfig,
    config: SearchConfig,
    statistics: ChannelStatistics,
) -> StageData:
    """Draw the images of `stage` from all training images, given at the resolution that the supernet sees.

    Every individual of the stage shares them, so that accuracies compare. The sample's random order is the
    same for all stages, so an earlier, smaller sample lies in a later, larger one; halves are drawn anew in
    each stage. With `ranking_split: holdout`, `holdout_share` of each class is kept from both halves for
    acc_valid; otherwise acc_valid is taken on the α half (paper). With `levels: single` both halves are the whole.

    Raises:
        DataError: a class has too few images for D_sample, or a half would lack a class.
    """
    sample = _sample(train, class_names, stage.images, config)
    index = [each.name for each in config.stages].index(stage.name)
    rng = random_generator(config.seed, index, 0, Stream.HALVES)
    halved, held_out = np.arange(len(sample)), None
    if config.ranking_split == "holdout":
        halved, held_out = stratified_split(sample.labels, config.holdout_share, rng)
    weight, alpha = (halved[half] for half in stratified_halves(sample.labels[halved], rng))
    if config.levels == "single":
        weight = alpha = halved
    valid = alpha if held_out is None else held_out
    for role, indices in (("half that steps w", weight), ("half that steps α", alpha), ("ranking split", valid)):
        missing = np.flatnonzero(np.bincount(sample.labels[indices], minlength=len(class_names)) == 0)
        if missing.size:
            raise DataError(
                f"stage {stage.name!r}: the {role} has no image of class {class_names[missing[0]]!r}; "
                f"{_for_more_of(int(missing[0]), sample, train, config, class_names)}, to 2 a class or more (3 with "
                "ranking_split=holdout)"
            )
    return StageData(sample.images, sample.labels, weight, alpha, valid, *statistics, n_classes=len(class_names))


def prepare_derived_data(
    train: LabelledImages, class_names: Sequence[str], config: SearchConfig, statistics: ChannelStatistics
) -> StageData:
    """Draw the images of genotypes' short trainings: a D_sample, of which `derived.held_out` is measured by.

    All genotypes of a search share them, so that they compare between stages. Nested with the stages' samples.

    Raises:
        DataError: a class has too few images for D_sample.
    """
    sample = _sample(train, class_names, config.derived.images, config)
    rng = random_generator(config.seed, 0, 0, Stream.DERIVED_SPLIT)
    seen, unseen = stratified_split(sample.labels, config.derived.held_out, rng)
    return StageData(sample.images, sample.labels, seen, unseen, unseen, *statistics, n_classes=len(class_names))


def _sample(
    train: LabelledImages, class_names: Sequence[str], images: int | float, config: SearchConfig
) -> LabelledImages:
    order = random_generator(config.seed, 0, 0, Stream.SAMPLE)
    return train.take(sample_indices(train.labels, images, config.dataset.sampling, order, class_names))


def _for_more_of(
    label: int, sample: LabelledImages, train: LabelledImages, config: SearchConfig, class_names: Sequence[str]
) -> str:
    """What to do for a sample with more images of a class."""
    available = np.bincount(train.labels)
    limiting = int(available.argmin()) if config.dataset.sampling == "balanced" else label
    if np.count_nonzero(sample.labels == label) < available[limiting]:
        return "raise the stage's images"
    return f"add images to class {class_names[limiting]!r}, which has {available[limiting]:,} training images"
