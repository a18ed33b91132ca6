"""Which datasets there are, and the one way to load any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from medarts_ops.config import DatasetConfig
from medarts_ops.data.cifar import load_cifar
from medarts_ops.data.dataset import ImageDataset, LabelledImages, LoadedDataset
from medarts_ops.data.digits import load_digits
from medarts_ops.data.folder import load_folder
from medarts_ops.data.npz import load_npz
from medarts_ops.data.proxy import single_image_class, stratified_split
from medarts_ops.data.resolution import check_affordable, check_large_enough, lanczos
from medarts_ops.errors import DataError, check_is_utf8
from medarts_ops.registry import Registry
from medarts_ops.seeds import Stream, random_generator

Loader = Callable[[DatasetConfig], LoadedDataset]

DATASETS = Registry[Loader](
    "dataset",
    "dataset.name",
    "medarts_ops.datasets",
    {"digits": load_digits, "cifar10": load_cifar, "cifar100": load_cifar, "folder": load_folder, "npz": load_npz},
)

TEST_SPLIT_SEED = 0
"""Fixed: whatever a search's seed, an evaluation must test on images that no search has seen."""


def load_dataset(config: DatasetConfig) -> ImageDataset:
    """Load a dataset, resize it to `resolution` where that is given, and hold a test set out where it brings none.

    The held-out images are `test_share` of each class, rounded, at least one; the same for every seed.

    Raises:
        ConfigError: an unknown name, `data` missing or out of place, or large images without a resolution.
        DataError: the images can't be read, are smaller than 8×8, or do not suffice for a test set.
    """
    for setting, place in (("dataset.data", config.data), ("dataset.cache", config.cache)):
        check_is_utf8(place or "", setting, DataError)
    loaded = DATASETS.get(config.name)(config)
    train = _at_resolution(loaded.train, config)
    if loaded.test is not None:
        test, source = _at_resolution(loaded.test, config), loaded.test_source
    else:
        train, test = _hold_out(train, config.test_share, loaded.class_names)
        source = f"{100 * config.test_share:.3g} % of each class, held out of the training images before any training"
    return ImageDataset(config.name, loaded.class_names, train, test, source, loaded.remarks)


def _at_resolution(part: LabelledImages, config: DatasetConfig) -> LabelledImages:
    n, height, width, channels = part.images.shape
    side = config.resolution
    if side is None:
        check_affordable(n, height, width, channels)
        check_large_enough(height, width, "give --resolution N to enlarge them")
        return part
    return replace(part, images=lanczos(part.images, side, side, config.fit))


def _hold_out(
    train: LabelledImages, share: float, class_names: tuple[str, ...]
) -> tuple[LabelledImages, LabelledImages]:
    single = single_image_class(train.labels)
    if single is not None:
        raise DataError(
            f"class {class_names[single]!r} has 1 image: to hold out a test set each class needs 2 or more; "
            "add images, drop the class, or bring a test set"
        )
    rest, held_out = stratified_split(train.labels, share, random_generator(TEST_SPLIT_SEED, 0, 0, Stream.TEST_SPLIT))
    return train.take(rest), train.take(held_out)
