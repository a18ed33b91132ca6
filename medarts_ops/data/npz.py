"""A dataset in one NumPy archive: x_train, y_train and, if there are, x_test, y_test, label_names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.data.archive import UNREADABLE, DeclaredArray, declared_arrays, read_array, unreadable_reason
from medarts_ops.data.dataset import ALLOWED_CHANNELS, LabelledImages, LoadedDataset, required_data
from medarts_ops.data.resolution import check_affordable
from medarts_ops.errors import DataError

REQUIRED = ("x_train", "y_train")
TEST = ("x_test", "y_test")
NAMES = "label_names"


def load_npz(config: DatasetConfig) -> LoadedDataset:
    """Read uint8 images `[image, height, width(, channel)]` of 1 or 3 channels and integer labels `[image]`.

    Labels may also be `[image, 1]`. Headers are checked before an array is unpacked, and nothing is ever
    unpickled. Without label_names the classes are called "0", "1", …; names beyond the highest label are
    left out, other arrays in the file are not read.

    Raises:
        ConfigError: `data` is missing, or images above 64×64 without a resolution.
        DataError: no such file, torn, no archive, pickled objects, a missing array, another dtype or shape,
            or a class without images.
    """
    path = Path(required_data(config, "the .npz file"))
    with _readable(path):
        declared = declared_arrays(path)
    _check_keys(path, declared)
    has_test = TEST[0] in declared
    for keys in (REQUIRED, TEST) if has_test else (REQUIRED,):
        _check_declared(path, declared, keys, config.resolution)
    train = _labelled(path, declared, REQUIRED)
    test = _labelled(path, declared, TEST) if has_test else None
    names = _read(path, declared[NAMES]) if NAMES in declared else None
    return LoadedDataset(_class_names(path, train.labels, names), train, test, "x_test" if has_test else "")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever a missing, torn or foreign file raises into one line."""
    try:
        yield
    except FileNotFoundError as error:
        missing = f"dataset.data is {str(path)!r}, which does not exist"
        raise DataError(f"{missing}: give --data with the .npz file") from error
    except UNREADABLE as error:
        raise DataError(
            f"{str(path)!r} is torn or no .npz file of plain arrays ({unreadable_reason(error)}): "
            "write it again with numpy.savez(file, x_train=…, y_train=…)"
        ) from error


def _check_keys(path: Path, declared: Mapping[str, DeclaredArray]) -> None:
    present = [key for key in TEST if key in declared]
    missing = [key for key in REQUIRED if key not in declared]
    missing += [key for key in TEST if present and key not in declared]
    if missing:
        raise DataError(
            f"{str(path)!r} lacks {', '.join(missing)}: it holds {', '.join(sorted(declared)) or 'nothing'}; "
            f"needed are {' and '.join(REQUIRED)}, allowed beside them {' with '.join(TEST)}, and {NAMES}"
        )


def _check_declared(
    path: Path, declared: Mapping[str, DeclaredArray], keys: tuple[str, str], resolution: int | None
) -> None:
    images_key, labels_key = keys
    images, labels = declared[images_key], declared[labels_key]
    shape, where = images.shape, f"{images_key} in {str(path)!r} is {images.dtype} {list(images.shape)}"
    if images.dtype != np.uint8:
        raise DataError(f"{where}: allowed is uint8 in 0…255; scale the images and save them with .astype('uint8')")
    if len(shape) not in (3, 4):
        raise DataError(f"{where}: allowed is [image, height, width] or [image, height, width, channel]")
    channels = shape[3] if len(shape) == 4 else 1
    if channels not in ALLOWED_CHANNELS:
        hint = "; it looks channels-first: save .transpose(0, 2, 3, 1)" if shape[1] in ALLOWED_CHANNELS else ""
        raise DataError(f"{where}: allowed are 1 or 3 channels in the last axis{hint}")
    if labels.dtype.kind not in "iu" or labels.shape not in (shape[:1], (shape[0], 1)):
        raise DataError(
            f"{labels_key} in {str(path)!r} is {labels.dtype} {list(labels.shape)}: "
            f"allowed are integers [{shape[0]}], one for each image of {images_key}"
        )
    if resolution is None:
        check_affordable(shape[0], shape[1], shape[2], channels)


def _read(path: Path, declared: DeclaredArray) -> NDArray[Any]:
    with _readable(path):
        array = read_array(path, declared)
    return array


def _labelled(path: Path, declared: Mapping[str, DeclaredArray], keys: tuple[str, str]) -> LabelledImages:
    images, labels = (_read(path, declared[key]) for key in keys)
    pixels = images if images.ndim == 4 else images[..., np.newaxis]
    return LabelledImages(np.ascontiguousarray(pixels), labels.reshape(-1).astype(np.int64))


def _class_names(path: Path, labels: NDArray[np.int64], names: NDArray[np.generic] | None) -> tuple[str, ...]:
    # By distinct values, since a count for each number up to the highest label could fill the memory.
    distinct = np.unique(labels)
    gap = next((expected for expected, label in enumerate(distinct) if expected != label), None)
    if names is not None and (names.ndim != 1 or names.dtype.kind not in "US"):
        raise DataError(f"{NAMES} in {str(path)!r} is {names.dtype} {list(names.shape)}: allowed are strings [class]")
    raw = [] if names is None else names.tolist()
    texts = [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in raw]
    if gap is not None:
        called = f" ({texts[gap]!r})" if gap < len(texts) else ""
        raise DataError(
            f"y_train in {str(path)!r} has labels up to {distinct[-1]} but none is {gap}{called}: each class needs "
            "images; number the classes 0, 1, 2, … without gaps"
        )
    if names is None:
        return tuple(str(label) for label in distinct)
    if len(texts) < len(distinct):
        raise DataError(
            f"{NAMES} in {str(path)!r} has {len(texts)} names and y_train {len(distinct)} classes: "
            "allowed is one name a class or more"
        )
    return tuple(texts[: len(distinct)])
