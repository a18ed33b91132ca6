"""Image files into one uint8 array: reading headers, decoding for real, and naming the files that can't be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from medarts_ops.data.image_formats import formats_of
from medarts_ops.data.loading import telling
from medarts_ops.data.resolution import check_affordable, fitted
from medarts_ops.data.unreadable import ReadFiles, can_go_on_without, is_systems, without
from medarts_ops.errors import DataError
from medarts_ops.settings import Fit

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

GRAY_16_BIT = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
GRAYSCALE = frozenset(("1", "L", "LA"))
COLOUR = frozenset(("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"))

LARGE = 89_478_485
"""Pixels from which on images are decoded one at a time, and JPEGs at a fraction of their size: Pillow's own limit,
so that whatever was read when that was ours still gives the same bits."""

_TRANSPOSING_ORIENTATIONS = (5, 6, 7, 8)

T = TypeVar("T")


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before it is decoded; `mode` and `format` in Pillow's words."""

    height: int
    width: int
    is_grayscale: bool
    mode: str
    format: str


def read_files(
    paths: Sequence[Path],
    resolution: int | tuple[int, int] | None,
    max_pixels: int,
    *,
    if_larger: str,
    fit: Fit,
    skip_unreadable: bool,
    if_unreadable: str,
) -> ReadFiles:
    """Decode `paths` into `[image, height, width, channel]`, in their order.

    One channel when all files are grayscale, else three. Palettes and CMYK become RGB, an alpha channel is
    dropped, 16-bit grayscale is scaled to 8 bit (v / 257, rounded), EXIF orientation is applied where it can be
    read, of an animation the first frame is taken. With a `resolution`, a square's side or height and width, each image
    is brought to it as `fit` says (`fitted` in `resolution.py`). With `skip_unreadable` files that can't be read are
    left out, unless none can be.

    Raises:
        DataError: files that can't be decoded (the first is named, all are counted), for which `if_unreadable` says
            what to do, a pixel format without an 8-bit meaning, one of more than `max_pixels`, for which `if_larger`
            does, or mixed sizes without a resolution.
        ConfigError: images larger than 64×64 without a resolution.
    """
    size = (resolution, resolution) if isinstance(resolution, int) else resolution
    with pixels_up_to(max_pixels), ThreadPoolExecutor() as pool:
        look = partial(_attempt, partial(read_header, size_counts=size is None))
        looked = list(telling("image files looked at", pool.map(look, paths), len(paths)))
        if not (skip_unreadable and can_go_on_without(looked)):
            _refuse_unreadable(paths, looked, (if_larger, if_unreadable), pool)
        headers = {place: header for place, header in enumerate(looked) if isinstance(header, Header)}
        some, known = [paths[place] for place in headers], list(headers.values())
        channels = 1 if all(header.is_grayscale for header in known) else 3
        height, width = size or _common_size(some, known, channels)
        images = np.empty((len(some), height, width, channels), np.uint8)

        def fill(index: int) -> None:
            images[index] = decode(some[index], (height, width), channels, fit)

        results = list(telling("images read", _attempt_each(fill, range(len(some)), known, pool), len(some)))
        if not (skip_unreadable and can_go_on_without(results)):
            _refuse_unreadable(some, results, (if_larger, if_unreadable), pool=None)
    failed = {index for index, result in enumerate(results) if isinstance(result, Exception)}
    are_grey = all(header.is_grayscale for index, header in enumerate(known) if index not in failed)
    failures = dict(enumerate(looked)) | dict(zip(headers, results, strict=True))
    errors = {place: error for place, error in failures.items() if isinstance(error, Exception)}
    return ReadFiles(
        without(images, failed, are_grey=are_grey),
        {place: reason_alone(paths[place], error) for place, error in errors.items()},
        lasts=not any(map(is_systems, errors.values())),
    )


@contextmanager
def pixels_up_to(limit: int) -> Iterator[None]:
    """Pillow refuses to open larger images inside, and says nothing of metadata that it can't read.

    Both are the process's, so they are set once, around the threads.
    """
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")  # reads EXIF, too
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = limit
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _attempt(read: Callable[[T], object], item: T) -> object:
    """What `read` gives, or the error that it raises."""
    try:
        return read(item)
    except Exception as error:  # Pillow's plugins answer a torn file with almost any; each means that it can't be read
        return error


def _attempt_each(
    read: Callable[[T], object], items: Sequence[T], headers: Sequence[object], pool: ThreadPoolExecutor
) -> Iterator[object]:
    """An attempt at each of the images with these headers.

    Large ones are read in this thread, one after the other: in several, each would keep memory for the largest.
    """
    are_large = [isinstance(header, Header) and header.height * header.width > LARGE for header in headers]
    others = [
        None if is_large else pool.submit(_attempt, read, item) for item, is_large in zip(items, are_large, strict=True)
    ]
    for item, other in zip(items, others, strict=True):
        yield _attempt(read, item) if other is None else other.result()


def _refuse_unreadable(
    paths: Sequence[Path], results: Sequence[object], remedies: tuple[str, str], pool: ThreadPoolExecutor | None
) -> None:
    """Raise if a result is unreadable; with a `pool` the other files are decoded too, so that the count is whole.

    `remedies` say what to do about a first one that is too large, and about any other.
    """
    from PIL import Image

    if not any(isinstance(result, Exception) for result in results):
        return
    if pool is not None:
        decoded = telling("image files tried", _attempt_each(check_decodes, list(paths), results, pool), len(paths))
        results = [
            early if isinstance(early, Exception) else late for early, late in zip(results, decoded, strict=True)
        ]
    failures = [(path, result) for path, result in zip(paths, results, strict=True) if isinstance(result, Exception)]
    path, first = failures[0]
    is_bomb = isinstance(first, Image.DecompressionBombWarning | Image.DecompressionBombError)
    raise DataError(
        f"{len(failures)} of {len(paths)} images can't be read, the first is {str(path)!r} ({why_unreadable(first)}): "
        f"{remedies[0 if is_bomb else 1]}"
    )


def why_unreadable(error: Exception) -> str:
    """The reason that an image can't be read, in one line."""
    from PIL import Image

    reason = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        # What follows may be double the limit that was set.
        return f"{reason.partition(' exceeds')[0]}: as large as a decompression bomb"
    return reason


def reason_alone(path: Path, error: Exception) -> str:
    """The reason without the file's own name, which Pillow repeats."""
    return why_unreadable(error).replace(f" {str(path)!r}", "")


def _open(source: Path | BinaryIO) -> ImageFile:
    from PIL import Image

    return Image.open(source, formats=formats_of(source))


def read_header(source: Path | BinaryIO, *, size_counts: bool) -> Header:
    """Where the size doesn't count it may be that of an image that lies on its side.

    Raises:
        ValueError: its pixels have no 8-bit meaning; of a torn file Pillow raises almost anything.
    """
    with _open(source) as image:
        is_grayscale = image.mode in GRAYSCALE or _is_16_bit(image)
        if not is_grayscale and image.mode not in COLOUR:
            raise ValueError(f"pixel format {image.mode!r} has no 8-bit meaning; save it as 8-bit grayscale or RGB")
        width, height = image.size
        # Reading a PNG's orientation decodes the whole file, and a square doesn't need it.
        if size_counts and width != height and _orientation(image) in _TRANSPOSING_ORIENTATIONS:
            width, height = height, width
        return Header(height, width, is_grayscale, image.mode, image.format or "unknown")


def _orientation(image: Image) -> object:
    """EXIF's number for how an image lies; 1, upright, where its metadata can't be read."""
    from PIL import ExifTags

    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # any, of a broken block
        return 1


def _common_size(paths: Sequence[Path], headers: Sequence[Header], channels: int) -> tuple[int, int]:
    first = headers[0]
    for path, header in zip(paths, headers, strict=True):
        if (header.height, header.width) != (first.height, first.width):
            raise DataError(
                f"images differ in size: {str(paths[0])!r} is {first.height}×{first.width}, {str(path)!r} is "
                f"{header.height}×{header.width} (height×width): allowed is one size; give --resolution N"
            )
    check_affordable(len(paths), first.height, first.width, channels)
    return first.height, first.width


def check_decodes(path: Path) -> None:
    """Decode an image and forget it; Pillow raises almost anything if that can't be done."""
    with _open(path) as image:
        # All of a JPEG is read for an eighth of each side, too, in a quarter of the time.
        image.draft(None, (image.width // 8, image.height // 8))
        image.load()


def decode(source: Path | BinaryIO, size: tuple[int, int], channels: int, fit: Fit) -> NDArray[np.uint8]:
    """Decode an image, a file or its bytes, as `read_files` does; Pillow raises almost anything if it can't be."""
    with _open(source) as opened:
        if opened.width * opened.height > LARGE:
            opened.draft(None, (2 * max(size), 2 * max(size)))  # of a JPEG an eighth of each side, or less, is enough
        opened.load()
        upright = _upright(opened)
        # The transposed copy has forgotten its file format.
        image = _scaled_to_8_bit(upright) if _is_16_bit(opened) else upright
        if image.mode in ("P", "PA"):
            image = image.convert("RGBA")  # a transparent palette converted straight to RGB makes Pillow warn
        mode = "L" if channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        return np.asarray(fitted(image, *size, fit)).reshape(*size, channels)


def _upright(image: Image) -> Image:
    """The image turned and mirrored as EXIF says. Pillow's `exif_transpose` fails where it can't write EXIF anew."""
    from PIL.Image import Transpose

    methods = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    orientation = _orientation(image)
    return image.transpose(methods[orientation]) if isinstance(orientation, int) and orientation in methods else image


def _is_16_bit(image: Image) -> bool:
    # Pillow opens a PGM of more than 8 bit in the 32-bit mode "I", scaled to 0…65535.
    return image.mode in GRAY_16_BIT or (image.mode == "I" and image.format == "PPM")


def _scaled_to_8_bit(image: Image) -> Image:
    """0…65535 to 0…255, rounded; Pillow's own conversion to "L" clips at 255 instead."""
    from PIL.Image import fromarray

    return fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
