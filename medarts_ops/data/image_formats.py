"""Which files are images: by the endings that Pillow knows or, of a file without one, by what it begins with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

LEFT_OUT = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"))
"""Formats that Pillow recognizes and does not decode itself: it leaves them to others, Ghostscript for one."""

BY_CONTENT = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""Formats whose files begin so that nothing else is taken for them; in the order in which they are tried."""

EXAMPLES = ".avif .bmp .gif .jpg .png .tif .webp"


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read, common ones first: they are tried one after the other."""
    from PIL import Image

    Image.init()
    others = (name for name in Image.ID if name not in BY_CONTENT and name not in LEFT_OUT)
    return (*(name for name in BY_CONTENT if name in Image.OPEN), *others)


@cache
def endings() -> frozenset[str]:
    """The endings of image files, in lower case and with their dot."""
    from PIL import Image

    read = {*formats(), "MPO"}  # several JPEGs in one file, which open as JPEG
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in read)


def begins_as_an_image(path: Path | str) -> bool:
    """Whether a file's content is an image's, whatever its name; one that can't be opened is none."""
    from PIL import Image

    try:
        with Image.open(path, formats=[name for name in BY_CONTENT if name in formats()]):
            return True
    except Exception:  # Pillow's plugins answer a foreign file with almost any error
        return False
