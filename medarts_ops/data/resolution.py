"""The size of images: what is allowed, what it costs in memory, and LANCZOS resizing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medarts_ops.errors import ConfigError, DataError
from medarts_ops.quantities import byte_size
from medarts_ops.settings import Fit

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST_SIDE = 8
"""Two reduction cells quarter the side, and the last cells still need a map larger than 1×1 (ours)."""

LARGEST_OWN_SIDE = 64
"""Larger images are taken only at a resolution that was asked for (ours): cost grows with the square."""


def fitted(image: Image, height: int, width: int, fit: Fit) -> Image:
    """An 8-bit image brought to a size by PIL's LANCZOS; one that has it already is returned as it is.

    `squash` does not keep the aspect ratio; `crop` cuts as much off two opposite sides as the size has no room for
    (PIL's `ImageOps.fit`); `pad` centres the whole image between two margins (`ImageOps.pad`). These are of the image's
    own mean colour: after normalisation black would be a strong signal, and repeated edges look like texture.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    size = (width, height)
    if image.size == size:
        return image
    match fit:
        case "squash":
            return image.resize(size, Resampling.LANCZOS)
        case "crop":
            return ImageOps.fit(image, size, Resampling.LANCZOS)
        case "pad":
            return _padded(image, size)


def _padded(image: Image, size: tuple[int, int]) -> Image:
    from PIL import Image as images

    # ImageOps.pad takes the colour beforehand, and a strip so narrow that its short side rounds to 0 makes it fail.
    width = max(1, min(size[0], round(image.width / image.height * size[1])))
    height = max(1, min(size[1], round(image.height / image.width * size[0])))
    small = image.resize((width, height), images.Resampling.LANCZOS)
    mean = np.rint(np.asarray(small).mean(axis=(0, 1))).astype(int)
    padded = images.new(image.mode, size, int(mean) if mean.ndim == 0 else tuple(mean.tolist()))
    padded.paste(small, (round((size[0] - width) / 2), round((size[1] - height) / 2)))
    return padded


def lanczos(images: NDArray[np.uint8], height: int, width: int, fit: Fit = "squash") -> NDArray[np.uint8]:
    """Bring `images [image, height, width, channel]` to a size (`fitted`), each channel count in its own PIL mode.

    About 35 µs an image at 32×32. Images that have the size already are returned as they are.
    """
    from PIL import Image

    n, old_height, old_width, channels = images.shape
    if (old_height, old_width) == (height, width):
        return images
    resized = np.empty((n, height, width, channels), np.uint8)
    pixels = images[..., 0] if channels == 1 else images
    for index, image in enumerate(pixels):
        small = fitted(Image.fromarray(image), height, width, fit)
        resized[index] = np.asarray(small).reshape(height, width, channels)
    return resized


def check_large_enough(height: int, width: int, remedy: str) -> None:
    """Refuse images whose map would vanish in the two reduction cells.

    Raises:
        DataError: a side below 8; `remedy` says what to do.
    """
    if min(height, width) < SMALLEST_SIDE:
        raise DataError(
            f"the network would see {height}×{width} images: allowed are {SMALLEST_SIDE}×{SMALLEST_SIDE} or more, "
            f"since two cells halve them; {remedy}"
        )


def check_affordable(n_images: int, height: int, width: int, channels: int) -> None:
    """Refuse to keep large images at their own size unless that size was asked for.

    Raises:
        ConfigError: a side above 64; tells the memory at the images' own size and at 64×64.
    """
    if max(height, width) <= LARGEST_OWN_SIDE:
        return
    side, values = LARGEST_OWN_SIDE, n_images * channels
    raise ConfigError(
        f"dataset.resolution is empty and the images are {height}×{width}: own sizes are allowed up to {side}×{side}; "
        f"give --resolution N. The {n_images:,} images take {byte_size(values * height * width)} of memory at their "
        f"own size, {byte_size(values * side * side)} at --resolution {side}"
    )
