"""Memory of a CPU that training frees stays with the process until the training ends.

glibc gives large blocks back to the system as they are freed, and a step's next ones are new pages, which the system
clears first: a third of a million of them in a step of a full-size evaluation, which took 1.4 times as long.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt(3), and what glibc has by itself
_USUAL = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}
_KEEPING = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0}
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")
_TUNABLES = ("glibc.malloc.trim_threshold", "glibc.malloc.mmap_max", "glibc.malloc.mmap_threshold")


@contextmanager
def kept_memory(device: torch.device, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Inside, freed memory is kept for what is needed next; afterwards the process gives back what is free.

    Of glibc alone, whose users may have said otherwise by a variable; does nothing elsewhere, or for another device.
    """
    library = _glibc()
    if device.type != "cpu" or library is None or _is_said_otherwise(environment):
        yield
        return
    try:
        for parameter, value in _KEEPING.items():
            library.mallopt(parameter, value)
        yield
    finally:
        for parameter, value in _USUAL.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)


def _is_said_otherwise(environment: Mapping[str, str]) -> bool:
    tunables = environment.get("GLIBC_TUNABLES", "")
    return any(name in environment for name in _VARIABLES) or any(name in tunables for name in _TUNABLES)


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version, library.mallopt, library.malloc_trim  # noqa: B018 - raises where they are missing
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return None
    return library
