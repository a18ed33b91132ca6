"""Which files are images: by the endings that Pillow knows or, of a file without one, by what it begins with.

HEIC is not Pillow's: pillow-heif reads it, where that is installed.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

LEFT_OUT = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "HEIF", "MPEG", "PDF", "WMF"))
"""Formats that Pillow recognizes and does not decode itself: it leaves them to others, Ghostscript for one."""

HEIC_ENDINGS = frozenset((".heic", ".heics", ".heif", ".heifs", ".hif"))

HEIC_REMEDY = "pip install 'medarts-ops[heic]'"

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
def reads_heic() -> bool:
    """Whether pillow-heif is installed."""
    return find_spec("pillow_heif") is not None


def formats_of(source: Path | BinaryIO) -> tuple[str, ...]:
    """Pillow's names of the formats that a file or its bytes may be of, in the order in which they are tried.

    Raises:
        ValueError: the file is HEIC by its name, and nothing is installed that reads it.
    """
    if isinstance(source, Path):
        if source.suffix.lower() not in HEIC_ENDINGS:
            return formats()
        if not reads_heic():
            raise ValueError(f"HEIC is read by pillow-heif, which is not installed: {HEIC_REMEDY}")
    elif not reads_heic():
        return formats()
    _register_heic()
    return ("HEIF", *formats())  # cameras name a JPEG so, too


def reader_versions() -> dict[str, str]:
    """The versions of what decodes images here: other ones may come to other bits."""
    return {name: version(name) for name in ("pillow", *(["pillow-heif"] if reads_heic() else []))}


@cache
def _register_heic() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def endings() -> frozenset[str]:
    """The endings of image files, in lower case and with their dot."""
    return _endings(with_heic=reads_heic())


@cache
def _endings(*, with_heic: bool) -> frozenset[str]:
    from PIL import Image

    read = {*formats(), "MPO"}  # several JPEGs in one file, which open as JPEG
    own = frozenset(ending for ending, name in Image.registered_extensions().items() if name in read)
    return own | HEIC_ENDINGS if with_heic else own - HEIC_ENDINGS


def begins_as_an_image(path: Path | str) -> bool:
    """Whether a file's content is an image's, whatever its name; one that can't be opened is none."""
    from PIL import Image

    try:
        with Image.open(path, formats=[name for name in BY_CONTENT if name in formats()]):
            return True
    except Exception:  # Pillow's plugins answer a foreign file with almost any error
        return False
