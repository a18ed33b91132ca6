"""Images made small enough to travel in a value: as text, in a page, in a journal."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from medarts_ops.data.resolution import lanczos

THUMBNAIL = 96
"""The longest side of a thumbnail, in pixels: enough to see what it shows; a photo's takes some 15 kB (ours)."""


def png_text(image: NDArray[np.uint8]) -> str:
    """`image [height, width, channel]` as base64 of a PNG."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(content, format="PNG")
    return base64.b64encode(content.getvalue()).decode()


def png_thumbnail(image: NDArray[np.uint8]) -> str:
    """The same: as it is, or shrunk until its longer side is `THUMBNAIL`."""
    height, width, _ = image.shape
    scale = min(1.0, THUMBNAIL / max(height, width))
    return png_text(lanczos(image[None], max(1, round(scale * height)), max(1, round(scale * width)))[0])
