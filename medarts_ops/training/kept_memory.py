"""Memory of a CPU that a step frees stays with the process for the next one.

glibc gives large blocks back to the system as they are freed, and a step's next ones are new pages, which the system
clears first: a third of a million of them in a step of a full-size evaluation, which took 1.4 times as long.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # see mallopt(3)
_LARGEST_KEPT = 32 * 2**20
"""Bytes of a block: the most that glibc allows, and right, since larger ones would leave gaps that nothing fills."""

_NEVER, _AS_BY_ITSELF = -1, 2 * _LARGEST_KEPT  # when to give back what is free at the heap's end
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")
_TUNABLES = ("glibc.malloc.trim_threshold", "glibc.malloc.mmap_max", "glibc.malloc.mmap_threshold")


@contextmanager
def kept_memory(device: torch.device, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """For an epoch's steps: inside, freed memory is kept for the next; afterwards what is freed goes back as usual.

    What is measured between epochs takes blocks of other sizes, which would not fit into what steps freed. Of glibc
    alone, whose users may have said otherwise by a variable; does nothing elsewhere, or for another device.
    """
    library = _allocator(device, environment)
    if library is None:
        yield
        return
    try:
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)  # which it comes to by itself as well
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        yield
    finally:
        library.mallopt(_TRIM_THRESHOLD, _AS_BY_ITSELF)


def give_back(device: torch.device, environment: Mapping[str, str] = os.environ) -> None:
    """After a training: give back all that is free, between blocks that are in use, too."""
    library = _allocator(device, environment)
    if library is not None:
        library.malloc_trim(0)


def _allocator(device: torch.device, environment: Mapping[str, str]) -> ctypes.CDLL | None:
    return None if device.type != "cpu" or _is_said_otherwise(environment) else _glibc()


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
