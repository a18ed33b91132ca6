"""A folder's images as they were read, kept in a file for the next process that wants the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.data.archive import UNREADABLE, declared_arrays, read_array
from medarts_ops.data.image_formats import reader_versions
from medarts_ops.data.unreadable import ReadFiles
from medarts_ops.value import Value
from medarts_ops.whole_file import whole_file

FORMAT = 1
"""Of the files, and of what `image_files.py` makes of an image: one more for any change of either."""

ABANDONED_SECONDS = 3600
"""After which a file that nobody has written on is one that a killed process left half-made."""

_logger = logging.getLogger(__name__)


class _About(Value):
    """What a cache file holds besides the images, as JSON."""

    key: str
    unreadable: dict[int, str]


def kept_images(config: DatasetConfig, root: Path, paths: Sequence[Path], read: Callable[[], ReadFiles]) -> ReadFiles:
    """What `read` gives of the image files `paths` below `root`, or, if `config.cache` has it, what it gave before.

    A cache file's name is a hash of all that its images depend on: each file's place, size and times of change, the
    settings, and the versions that decode. So nothing is ever out of date, processes need no lock, and results are the
    same with and without. A file that is torn or foreign is written anew: the archive's checksums tell, which a memory
    map would not look at. Where none can be written, that is a warning: no job should end for want of a cache, such as
    one that is resumed elsewhere.
    """
    if not config.cache:
        return read()
    key = _key(config, root, paths)
    file = Path(config.cache).expanduser() / f"images-{key[:32]}.npz"
    kept = _kept(file, key, len(paths), config.resolution)
    if kept is not None:
        _logger.info("%d images of %s are taken from %s", len(kept.images), root, file)
        return kept
    found = read()
    if found.lasts and _key(config, root, paths) == key:  # nothing changed meanwhile
        _keep(file, key, found)
    return found


def _key(config: DatasetConfig, root: Path, paths: Sequence[Path]) -> str:
    settings = config.model_dump(include={"resolution", "fit", "max_pixels", "skip_unreadable"})
    digest = hashlib.sha256(json.dumps([FORMAT, reader_versions(), settings]).encode())
    for path in paths:
        place = os.fsencode(path.relative_to(root))
        digest.update(b"%d %s %d %d %d\n" % (len(place), place, *_size_and_times(path)))
    return digest.hexdigest()


def _size_and_times(path: Path) -> tuple[int, int, int]:
    """Bytes, and nanoseconds of the last change as the file says and as the system knows.

    Files of another folder may have the same names, sizes and times of their own, as those out of an archive that was
    made to be reproducible. Of a file that can't be looked at it is what no other has.
    """
    try:
        found = path.stat()
    except OSError:
        return -1, -1, -1
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _kept(file: Path, key: str, n_files: int, side: int | None) -> ReadFiles | None:
    """What a cache file holds; None if there is none of that key, or it is no whole one."""
    try:
        declared = declared_arrays(file)
        about = _About.model_validate_json(read_array(file, declared["about"]).tobytes())
        images = read_array(file, declared["images"])
    except FileNotFoundError:
        return None
    except (*UNREADABLE, KeyError) as error:
        _logger.info("%s is torn or no cache of images, and is made anew (%s)", file, type(error).__name__)
        return None
    left = n_files - len(about.unreadable)
    is_ours = about.key == key and images.dtype == np.uint8 and images.ndim == 4 and len(images) == left
    are_places = all(0 <= place < n_files for place in about.unreadable)
    if not (is_ours and are_places and side in (None, *set(images.shape[1:3])) and images.shape[3] in (1, 3)):
        return None
    return ReadFiles(_as_bytes(images), about.unreadable)


def _as_bytes(images: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images, dtype=np.uint8)


def _keep(file: Path, key: str, found: ReadFiles) -> None:
    about = _About(key=key, unreadable=dict(found.unreadable)).model_dump_json().encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(file.parent)
        with whole_file(file) as opened:
            np.savez(opened, about=np.frombuffer(about, np.uint8), images=found.images)
    except OSError as error:
        _logger.warning(
            "dataset.cache is %r, where nothing can be written (%s): the images are decoded again each time; give a "
            "folder that is yours, with room",
            str(file.parent),
            error.strerror,
        )
        return
    _logger.info("%d images are kept in %s", len(found.images), file)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left in the folder, which may be as large as all images, and which nobody sees."""
    for partial in folder.glob(".images-*.npz.*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink()
