"""Arrays out of a NumPy archive that may be anybody's: headers are checked first, nothing is ever unpickled."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medarts_ops.quantities import byte_size

UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    TypeError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""All that zipfile and NumPy's header reader raise for torn, foreign or crafted files."""

LARGEST_ARRAY = 64 * 2**30
"""Bytes that one array's header may declare: a small file can unpack to more than any memory holds."""

LARGEST_RATIO = 1032
"""Bytes that one byte of deflated data can become (zlib's technical notes); a header that declares more is a lie."""

_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class DeclaredArray:
    """What an array's header says, before anything is unpacked, and the archive's member that holds it."""

    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def declared_arrays(path: Path) -> dict[str, DeclaredArray]:
    """The arrays of an .npz file by name.

    Raises:
        UNREADABLE: one of these; a pickled, a repeated or an impossibly large array is a ValueError.
    """
    declared: dict[str, DeclaredArray] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in declared:
                raise ValueError(f"array {_shown(name)} stands twice")
            declared[name] = _declared(archive, info, path.stat().st_size)
    return declared


def read_array(path: Path, declared: DeclaredArray) -> NDArray[np.generic]:
    """Unpack one array; raises one of `UNREADABLE`, for example a MemoryError."""
    with zipfile.ZipFile(path) as archive, archive.open(declared.member) as file:
        array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def unreadable_reason(error: BaseException) -> str:
    """One of `UNREADABLE` in a few words on one line."""
    if isinstance(error, MemoryError):
        return "its arrays do not fit the memory"
    return " ".join(str(error).partition("\n")[0].split())[:200] or type(error).__name__


def _declared(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file_size: int) -> DeclaredArray:
    shown = _shown(info.filename)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{shown} is compressed by method {info.compress_type}, allowed are stored and deflated")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"{shown} has array format {version}")
        shape, _, dtype = _HEADER_READERS[version](file)
    if dtype.hasobject:
        raise ValueError(f"{shown} holds pickled Python objects, which are never read")
    # Axis by axis, too: where one is 0 or an element has no bytes, the product says nothing about the others.
    if len(shape) > 32 or not all(0 <= axis <= LARGEST_ARRAY for axis in shape):
        raise ValueError(f"{shown} declares the axes {str(shape)[:100]}, which no array has")
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > min(LARGEST_ARRAY, LARGEST_RATIO * file_size):
        raise ValueError(f"{shown} declares {byte_size(n_bytes)}, which {byte_size(file_size)} of file can't hold")
    return DeclaredArray(info.filename, shape, dtype)


def _shown(name: str) -> str:
    return name[:100] if name.isprintable() else ascii(name[:100])
