"""Which settings suit a set of images: resolution, sampling, batch and epochs, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig, SearchConfig, StageConfig
from medarts_ops.data.proxy import Sampling, held_out_counts, sample_size
from medarts_ops.data.resolution import LARGEST_OWN_SIDE, SMALLEST_SIDE
from medarts_ops.data.survey import Shapes, Survey
from medarts_ops.errors import DataError
from medarts_ops.settings import PHOTO_SIDE

LADDER = (32, 64, 96, 128, 224)
"""Resolutions that are advised, in pixels a side (ours)."""

MOST_SIDE_OF = ((1_000, 96), (10_000, 128))
"""(training images, side): with fewer images no larger side, since few images do not teach fine detail (ours)."""

MOST_MEMORY = 8 * 10**9
"""Bytes that all images may take once they are loaded (ours)."""

LEAST_STEPS = 395
"""Steps of an individual in a stage: those of the paper's first one, 5 epochs of 5,000 images in batches of 64."""

LEAST_STEPS_AN_EPOCH = 10
"""Below so many, a smaller batch is advised (ours)."""

LEAST_BATCH = 16
"""No smaller batch is advised: batch norm's statistics get poor (ours)."""

KEPT = 0.5
"""The part of the images that a balanced D_sample has to keep, to be advised (ours)."""

ENOUGH = 10_000
"""Images of a balanced D_sample that are enough, whatever it leaves out: the paper's."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class StagePlan:
    """What an individual of a stage trains: `steps` in all its epochs; `measured` images give its accuracy."""

    name: str
    images: int
    batch: int
    epochs: int
    steps: int
    measured: int


def training_counts(survey: Survey, config: DatasetConfig) -> Counts:
    """Images to train on `[class]`: without those that are held out where there is no test set."""
    counts = np.array([survey.of_class(name, "training") for name in survey.classes], np.int64)
    return counts if survey.brings_test else counts - np.minimum(counts, held_out_counts(counts, config.test_share))


def suitable_resolution(shapes: Shapes, n_images: int, config: DatasetConfig) -> int | None:
    """A side that three quarters of the images have; None for images that can stay as they are.

    Smaller where there are few images, or so many that loaded ones would fill the memory.
    """
    smallest = SMALLEST_SIDE * (2 if config.low_resolution else 1)
    if shapes.are_equal and smallest <= shapes.short_sides.smallest and shapes.longest_side <= LARGEST_OWN_SIDE:
        return None
    most = min(most_side(n_images), shapes.short_sides.quartile)
    return max((side for side in LADDER if side <= most), default=LADDER[0])


def most_side(n_images: int) -> float:
    """The largest side for so many images."""
    by_number = next((side for number, side in MOST_SIDE_OF if n_images < number), LADDER[-1])
    return min(by_number, math.sqrt(MOST_MEMORY / (3 * n_images)))


def sees_half(side: int, config: DatasetConfig) -> bool:
    """Whether a search on images of that side should see half of it (D_low).

    From `PHOTO_SIDE` on it should not: behind the stem of ImageNet networks whole images cost less than halves of them
    without it, and the search has the stem that its result is trained with.
    """
    return config.low_resolution and side < PHOTO_SIDE


def suitable_sampling(counts: Counts) -> Sampling:
    """Balanced, as the paper's, unless that leaves out too many of the images `[class]`."""
    balanced = int(counts.min()) * len(counts)
    return "balanced" if balanced >= min(KEPT * counts.sum(), ENOUGH) else "stratified"


def suitable_stages(
    counts: Counts, sampling: Sampling, classes: Sequence[str], config: SearchConfig
) -> tuple[StageConfig, ...]:
    """The stages of `config` with so many images and epochs that an individual of each takes `LEAST_STEPS`.

    Epochs keep their proportions between stages. A stage that is too short takes all images: steps are what a search
    costs, so with their number given all images cost no more, and measure better.

    Raises:
        DataError: a class has too few images for any D_sample.
    """
    stages = config.stages
    most = sample_size(1.0, counts, sampling, classes)
    if any(_is_short(stage, counts, sampling, classes, config) for stage in stages):
        batch = _batch(int(most * config.weight_share), min(stage.batch for stage in stages))
        stages = tuple(stage.model_copy(update={"images": 1.0, "batch": batch}) for stage in stages)
    steps = [planned(stage, counts, sampling, classes, config).steps for stage in stages]
    factor = max(1.0, LEAST_STEPS / min(steps))
    return tuple(stage.model_copy(update={"epochs": math.ceil(stage.epochs * factor)}) for stage in stages)


def suitable_short_batch(counts: Counts, sampling: Sampling, classes: Sequence[str], config: SearchConfig) -> int:
    """The batch of genotypes' short trainings, as a stage's: `derived.least_steps` of it cost no more than they need.

    The config's own where there are none, or where they take a number of images, which may be more than there are.

    Raises:
        DataError: a class has too few images for any D_sample.
    """
    short = config.derived
    if not config.trains_genotypes or isinstance(short.images, int):
        return short.batch
    trained_on, _ = short.parts(sample_size(short.images, counts, sampling, classes))
    return _batch(trained_on, short.batch)


def planned(
    stage: StageConfig, counts: Counts, sampling: Sampling, classes: Sequence[str], config: SearchConfig
) -> StagePlan:
    """What an individual of `stage` trains on a D_sample of these images.

    Raises:
        DataError: the stage takes more images than there are, or fewer than two of a class.
    """
    images = sample_size(stage.images, counts, sampling, classes)
    steps = stage.epochs * math.ceil(images * config.weight_share / stage.batch)
    return StagePlan(stage.name, images, stage.batch, stage.epochs, steps, int(images * config.measured_share))


def _is_short(
    stage: StageConfig, counts: Counts, sampling: Sampling, classes: Sequence[str], config: SearchConfig
) -> bool:
    try:
        return planned(stage, counts, sampling, classes, config).steps < LEAST_STEPS
    except DataError:  # it takes more images than there are, or too few of a class
        return True


def _batch(stepped: int, usual: int) -> int:
    """The usual batch, halved until an epoch over `stepped` images has steps enough."""
    batch = usual
    while stepped / batch < LEAST_STEPS_AN_EPOCH and batch // 2 >= LEAST_BATCH:
        batch //= 2
    return batch
