"""What is left of image files without those that can't be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medarts_ops.quantities import counted

SHOWN_FILES = 3


@dataclass(frozen=True, eq=False)
class ReadFiles:
    """What came of image files: `images [image, height, width, channel]` of those that can be read, in their order.

    `unreadable` has the others, by their places among the files, with the reason. `lasts` says whether the same files
    come to the same again: one that the system did not hand over may be readable the next time.
    """

    images: NDArray[np.uint8]
    unreadable: Mapping[int, str]
    lasts: bool = True


def can_go_on_without(results: Sequence[object]) -> bool:
    """Whether a reading gave anything, and what failed failed by itself: for want of memory any file can."""
    return any(not isinstance(result, Exception) for result in results) and not any(
        isinstance(result, MemoryError) for result in results
    )


def is_systems(error: Exception) -> bool:
    """Whether the system did not hand a file over; Pillow's own errors of that kind have no number."""
    return isinstance(error, OSError) and error.errno is not None


def without(images: NDArray[np.uint8], failed: Collection[int], *, are_grey: bool) -> NDArray[np.uint8]:
    """The images but for those at `failed`, moved up in place: a copy could be as large again.

    Where those left `are_grey` they have one channel: they were read beside one in colour, and all three are equal.
    """
    kept = [index for index in range(len(images)) if index not in failed]
    for place, index in enumerate(kept if failed else ()):
        images[place] = images[index]
    left = images[: len(kept)]
    return np.ascontiguousarray(left[..., :1]) if are_grey else left


def left_out_in_words(names: Sequence[str], unreadable: Mapping[int, str]) -> tuple[str, ...]:
    """A sentence on the files that were left out, the first ones by their `names`; none if there are no such files."""
    if not unreadable:
        return ()
    shown = [f"{names[place]!r} ({unreadable[place]})" for place in sorted(unreadable)[:SHOWN_FILES]]
    others = len(unreadable) - len(shown)
    listed = ", ".join(shown) + (f" and {others:,} more" if others else "")
    return (f"{counted(len(unreadable), 'image')} of {len(names):,} left out, which can't be read: {listed}",)
