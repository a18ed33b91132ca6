"""The size of images: what is allowed, what it costs in memory, and LANCZOS resizing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medarts_ops.errors import ConfigError, DataError

SMALLEST_SIDE = 8
"""Two reduction cells quarter the side, and the last cells still need a map larger than 1×1 (ours)."""

LARGEST_OWN_SIDE = 64
"""Larger images are taken only at a resolution that was asked for (ours): cost grows with the square."""


def lanczos(images: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize `images [image, height, width, channel]` by PIL's LANCZOS, each channel count in its own PIL mode.

    About 35 µs an image at 32×32. Images that have the size already are returned as they are.
    """
    from PIL import Image

    n, old_height, old_width, channels = images.shape
    if (old_height, old_width) == (height, width):
        return images
    resized = np.empty((n, height, width, channels), np.uint8)
    pixels = images[..., 0] if channels == 1 else images
    for index, image in enumerate(pixels):
        small = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
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


def byte_size(n_bytes: int) -> str:
    """`1.2 GB`, or `34 MB` below one gigabyte (powers of ten)."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(1, round(n_bytes / 1e6))} MB"
