"""The approximate datasets of the search, D_sample and D_low (paper III.C.2), and splits that keep every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import LabelledImages
from medarts_ops.data.resolution import check_large_enough, lanczos
from medarts_ops.errors import DataError

Indices = NDArray[np.int64]
Sampling = Literal["balanced", "stratified"]

LEAST_PER_CLASS = 2
"""One image of each class for the weight half and one for the α half."""

WORTH_SAYING = 0.1
"""The part of the images from which on it is said that the largest balanced sample leaves them out (ours)."""

_PIXELS_PER_CHUNK = 2**22


class ChannelStatistics(NamedTuple):
    """`mean [channel]` and `std [channel]` of pixels scaled to 0…1, float64."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def sample_indices(
    labels: Indices, images: int | float, sampling: Sampling, rng: np.random.Generator, class_names: Sequence[str]
) -> Indices:
    """Draw D_sample: ascending indices into `labels [image]`.

    `balanced` takes `images // n_classes` of each class, so a remainder is left out; `stratified` keeps the
    classes' proportions by Sainte-Laguë's rule, with two of each class at least. A float `images` in (0, 1]
    is that part of the largest sample that `sampling` allows.

    Nested: with generators of equal state, a smaller sample is a subset of a larger one (ours; largest
    remainders, the other common rounding, would break that: a class can lose a seat as the total grows).

    Raises:
        DataError: fewer than two images a class are asked for, or a class has too few; names the class,
            what it has and the largest `images` that works.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    ranks = _class_ranks(labels, counts, rng)
    size = sample_size(images, counts, sampling, class_names)
    if sampling == "balanced":
        return np.flatnonzero(ranks < size // len(class_names))
    turn = np.where(ranks < LEAST_PER_CLASS, -1.0, (ranks + 0.5) / counts[labels])
    return np.sort(np.lexsort((ranks, labels, turn))[:size])


def sample_size(images: int | float, counts: Indices, sampling: Sampling, class_names: Sequence[str]) -> int:
    """How many images D_sample has of `counts [class]`: of a balanced one a multiple of the classes.

    Raises:
        DataError: as `sample_indices`, which draws them.
    """
    n, rarest = len(class_names), int(counts.argmin())
    rarity = f"class {class_names[rarest]!r} has {int(counts[rarest]):,} training images"
    unit, units = (n, int(counts[rarest])) if sampling == "balanced" else (1, int(counts.sum()))
    if counts[rarest] < LEAST_PER_CLASS:
        needed = f"D_sample needs {LEAST_PER_CLASS} of each class, one for each half"
        raise DataError(f"{rarity}: {needed}; add images to it (a held-out test takes some) or drop the class")
    # 0.29 · 100 is 28.999… in floating point and means 29.
    size = unit * (images // unit if isinstance(images, int) else int(images * units + 1e-9))
    if size < LEAST_PER_CLASS * n:
        asked = f"{images:,} images" if isinstance(images, int) else f"a share of {images:g}"
        raise DataError(
            f"D_sample of {asked} gives less than {LEAST_PER_CLASS} images to one of {n} classes ({rarity}): "
            f"allowed are {LEAST_PER_CLASS * n:,} images or more; raise images"
        )
    if size > unit * units:
        remedy = f"the largest that works is {unit * units:,}; set images to that or less"
        if sampling == "balanced":
            raise DataError(
                f"D_sample of {images:,} images takes {size // n:,} of each of {n} classes: {rarity}; {remedy}, "
                f"add images to {class_names[rarest]!r}, or set dataset.sampling=stratified"
            )
        raise DataError(
            f"D_sample of {size:,} images is more than the {units:,} training images ({rarity}, the fewest): {remedy}"
        )
    return size


def limit_of_shares(labels: Indices, sampling: Sampling, class_names: Sequence[str]) -> tuple[str, ...]:
    """A sentence if the rarest class keeps many of the images out of even the largest D_sample, or none."""
    counts = np.bincount(labels, minlength=len(class_names))
    rarest, largest = int(counts.argmin()), int(counts.min()) * len(class_names)
    if sampling != "balanced" or largest > (1 - WORTH_SAYING) * len(labels):
        return ()
    return (
        f"class {class_names[rarest]!r} has {int(counts[rarest]):,} training images, and a balanced D_sample takes no "
        f"more of any class: {largest:,} of {len(labels):,} at most, of which stages take their shares; add images to "
        f"{class_names[rarest]!r}, or set dataset.sampling=stratified, which takes shares of all {len(labels):,}",
    )


def low_resolution(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """D_low: `images [image, height, width, channel]` at half height and width, rounded down; PIL LANCZOS.

    Raises:
        DataError: a side would fall below 8.
    """
    height, width = images.shape[1] // 2, images.shape[2] // 2
    check_large_enough(height, width, "set dataset.low_resolution=false")
    return lanczos(images, height, width)


def search_images(train: LabelledImages, config: DatasetConfig) -> LabelledImages:
    """All training images at the resolution that the supernet sees: `low_resolution`, or as they are if that is off."""
    return LabelledImages(low_resolution(train.images), train.labels) if config.low_resolution else train


def stratified_halves(labels: Indices, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Cut `labels [image]` into two halves of ascending indices that share each class equally.

    Of a class with an odd count one half gets one more, the halves by turns: totals differ by one at most.
    (DARTS cuts an index list in two, which on a class-sorted folder puts different classes in the halves.)
    A class with a single image is in the first or the second half only.
    """
    counts = np.bincount(labels)
    is_odd = counts % 2
    first_gets_more = is_odd * (np.cumsum(is_odd) % 2)
    in_first = _class_ranks(labels, counts, rng) < (counts // 2 + first_gets_more)[labels]
    return np.flatnonzero(in_first), np.flatnonzero(~in_first)


def stratified_split(labels: Indices, share: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Hold `share` of each class of `labels [image]` out; ascending indices (rest, held out).

    Rounded to the nearest number in each class, but at least one and never all. A class with a single
    image stays in the rest.
    """
    counts = np.bincount(labels)
    is_held = _class_ranks(labels, counts, rng) < held_out_counts(counts, share)[labels]
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def held_out_counts(counts: Indices, share: float) -> Indices:
    """How many of `counts [class]` images `stratified_split` holds out of each class."""
    held: Indices = np.clip(np.floor(counts * share + 0.5).astype(np.int64), 1, np.maximum(counts - 1, 0))
    return held


def single_image_class(labels: Indices) -> int | None:
    """The first class with exactly one image, if there is one."""
    single = np.flatnonzero(np.bincount(labels) == 1)
    return int(single[0]) if single.size else None


def channel_statistics(images: NDArray[np.uint8]) -> ChannelStatistics:
    """Mean and population standard deviation of each channel of `images [image, height, width, channel]`.

    Exact: integer sums over a histogram of the 256 levels. A std below one grey level (a constant channel)
    counts as 1/255, so that normalising never divides by zero.
    """
    n, height, width, channels = images.shape
    histogram = np.zeros((channels, 256), np.int64)
    step = max(1, _PIXELS_PER_CHUNK // (height * width))
    for start in range(0, n, step):
        for channel in range(channels):
            histogram[channel] += np.bincount(images[start : start + step, :, :, channel].ravel(), minlength=256)
    moments = [_mean_and_std(row, n * height * width) for row in histogram]
    mean, std = np.array(moments).T / 255
    return ChannelStatistics(mean, np.maximum(std, 1 / 255))


def _mean_and_std(histogram: NDArray[np.int64], n_pixels: int) -> tuple[float, float]:
    # Python integers: n·Σv² passes 2⁶³ from some 10⁷ pixels on.
    total = sum(level * int(count) for level, count in enumerate(histogram))
    squares = sum(level * level * int(count) for level, count in enumerate(histogram))
    return total / n_pixels, ((n_pixels * squares - total * total) / n_pixels**2) ** 0.5


def _class_ranks(labels: Indices, counts: Indices, rng: np.random.Generator) -> Indices:
    """Each image's place, from 0, in a random order of its class. One draw, whatever is taken of it later."""
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    first_of_class = np.cumsum(counts) - counts
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - first_of_class[labels[by_class]]
    return ranks
