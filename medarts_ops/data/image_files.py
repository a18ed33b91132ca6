"""Image files into one uint8 array: reading headers, decoding for real, and naming the files that can't be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from medarts_ops.data.resolution import check_affordable
from medarts_ops.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"))

GRAY_16_BIT = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
GRAYSCALE = frozenset(("1", "L", "LA"))
COLOUR = frozenset(("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"))

_TRANSPOSING_ORIENTATIONS = (5, 6, 7, 8)

T = TypeVar("T")


@dataclass(frozen=True)
class _Header:
    height: int
    width: int
    is_grayscale: bool


def read_images(paths: Sequence[Path], resolution: int | tuple[int, int] | None) -> NDArray[np.uint8]:
    """Decode `paths` into `[image, height, width, channel]`, in their order.

    One channel when all files are grayscale, else three. Palettes and CMYK become RGB, an alpha channel is
    dropped, 16-bit grayscale is scaled to 8 bit (v / 257, rounded), EXIF orientation is applied, of an
    animation the first frame is taken. With a `resolution`, a square's side or height and width, each image is
    resized to it (PIL LANCZOS, the aspect ratio is not kept).

    Raises:
        DataError: files that can't be decoded (the first is named, all are counted), a pixel format without
            an 8-bit meaning, a decompression bomb, or mixed sizes without a resolution.
        ConfigError: images larger than 64×64 without a resolution.
    """
    from PIL import Image

    # catch_warnings is process-wide, so it is set here once, around the pool, and not in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        headers = list(pool.map(partial(_attempt, _read_header), paths))
        _refuse_unreadable(paths, headers, pool)
        known = [header for header in headers if isinstance(header, _Header)]
        channels = 1 if all(header.is_grayscale for header in known) else 3
        size = (resolution, resolution) if isinstance(resolution, int) else resolution
        height, width = size or _common_size(paths, known, channels)
        images = np.empty((len(paths), height, width, channels), np.uint8)

        def fill(index: int) -> None:
            images[index] = _decode(paths[index], (height, width), channels)

        _refuse_unreadable(paths, list(pool.map(partial(_attempt, fill), range(len(paths)))), pool=None)
    return images


def _attempt(read: Callable[[T], object], item: T) -> object:
    """What `read` gives, or the error that it raises."""
    try:
        return read(item)
    except Exception as error:  # Pillow's plugins answer a torn file with almost any; each means that it can't be read
        return error


def _refuse_unreadable(paths: Sequence[Path], results: Sequence[object], pool: ThreadPoolExecutor | None) -> None:
    """Raise if a result is unreadable; with a `pool` the other files are decoded too, so that the count is whole."""
    if not any(isinstance(result, Exception) for result in results):
        return
    if pool is not None:
        decoded = pool.map(partial(_attempt, _load), paths)
        results = [
            early if isinstance(early, Exception) else late for early, late in zip(results, decoded, strict=True)
        ]
    failures = [(path, result) for path, result in zip(paths, results, strict=True) if isinstance(result, Exception)]
    path, first = failures[0]
    reason = str(first).partition("\n")[0] or type(first).__name__
    raise DataError(
        f"{len(failures)} of {len(paths)} images can't be read, the first is {str(path)!r} ({reason}): "
        "replace or remove them"
    )


def _read_header(path: Path) -> _Header:
    from PIL import ExifTags, Image

    with Image.open(path) as image:
        is_grayscale = image.mode in GRAYSCALE or _is_16_bit(image)
        if not is_grayscale and image.mode not in COLOUR:
            raise ValueError(f"pixel format {image.mode!r} has no 8-bit meaning; save it as 8-bit grayscale or RGB")
        width, height = image.size
        # Reading a PNG's orientation decodes the whole file, and a square doesn't need it.
        if width != height and image.getexif().get(ExifTags.Base.Orientation, 1) in _TRANSPOSING_ORIENTATIONS:
            width, height = height, width
        return _Header(height, width, is_grayscale)


def _common_size(paths: Sequence[Path], headers: Sequence[_Header], channels: int) -> tuple[int, int]:
    first = headers[0]
    for path, header in zip(paths, headers, strict=True):
        if (header.height, header.width) != (first.height, first.width):
            raise DataError(
                f"images differ in size: {str(paths[0])!r} is {first.height}×{first.width}, {str(path)!r} is "
                f"{header.height}×{header.width} (height×width): allowed is one size; give --resolution N"
            )
    check_affordable(len(paths), first.height, first.width, channels)
    return first.height, first.width


def _load(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


def _decode(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
        # The transposed copy has forgotten its file format.
        image = _scaled_to_8_bit(upright) if _is_16_bit(opened) else upright
        if image.mode in ("P", "PA"):
            image = image.convert("RGBA")  # a transparent palette converted straight to RGB makes Pillow warn
        image = image.convert("L" if channels == 1 else "RGB")
    if image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(*size, channels)


def _is_16_bit(image: Image) -> bool:
    # Pillow opens a PGM of more than 8 bit in the 32-bit mode "I", scaled to 0…65535.
    return image.mode in GRAY_16_BIT or (image.mode == "I" and image.format == "PPM")


def _scaled_to_8_bit(image: Image) -> Image:
    """0…65535 to 0…255, rounded; Pillow's own conversion to "L" clips at 255 instead."""
    from PIL.Image import fromarray

    return fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
