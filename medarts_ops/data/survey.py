"""What a set of images holds, as a value: sizes, shapes, kinds, classes by part, copies, and what can't be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from medarts_ops.data.copies import Copies, copies_of

Role = Literal["training", "test"]

ELONGATED = 1.5
"""Long side over short side beyond which making an image square changes what it shows (ours)."""

SIDES = (32, 64, 96, 128, 224, 512, 1024, 2048)
"""Where the bins of the histogram of sides end."""


class Looked(NamedTuple):
    """One image that can be read. `name` is its path below the folder, or its array with its place in it.

    `part` is a folder above the classes or an array, `digest` a hash of its bytes, `kind` its pixels in words.
    """

    name: str
    part: str
    class_name: str
    height: int
    width: int
    kind: str
    format: str
    n_bytes: int
    digest: bytes


@dataclass(frozen=True)
class Unreadable:
    """An image that can't be read, and why."""

    name: str
    part: str
    class_name: str
    reason: str


@dataclass(frozen=True)
class Spread:
    """How numbers are spread: smallest, first quartile, median and largest."""

    smallest: float
    quartile: float
    median: float
    largest: float


@dataclass(frozen=True)
class Shapes:
    """Sizes in pixels, as people see them (after EXIF's turns).

    `sides` is the histogram of short sides: how many lie in each bin of `SIDES`. `aspects` are width over height,
    `elongations` long side over short side, of which `elongated` images are beyond `ELONGATED`.
    """

    widths: Spread
    heights: Spread
    short_sides: Spread
    aspects: Spread
    elongations: Spread
    elongated: int
    sides: dict[str, int]

    @property
    def are_equal(self) -> bool:
        """Whether all images have one size."""
        return all(spread.smallest == spread.largest for spread in (self.widths, self.heights))

    @property
    def longest_side(self) -> int:
        """The longest side of any image."""
        return int(max(self.widths.largest, self.heights.largest))


@dataclass(frozen=True)
class Survey:
    """All that was found in a set of images.

    `counts` are readable images by part and class, `roles` what each part is for. `remarks` are worth knowing,
    `problems` have to be mended before a search can begin. `shapes` is None where no image can be read.
    """

    name: str
    data: str | None
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    roles: dict[str, Role]
    shapes: Shapes | None
    kinds: dict[str, int]
    formats: dict[str, int]
    n_bytes: int
    copies: tuple[Copies, ...]
    unreadable: tuple[Unreadable, ...]
    passed_over: dict[str, int]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def n_images(self) -> int:
        """All readable images."""
        return sum(self.of_class(name) for name in self.classes)

    @property
    def brings_test(self) -> bool:
        """Whether there is a test set; else one is held out of the training images."""
        return "test" in self.roles.values()

    def of_class(self, name: str, role: Role | None = None) -> int:
        """Readable images of a class in all parts, or in those of one role."""
        parts = [part for part in self.counts if role in (None, self.roles[part])]
        return sum(self.counts[part].get(name, 0) for part in parts)


def surveyed(
    name: str,
    data: str | None,
    *,
    classes: Sequence[str],
    roles: dict[str, Role],
    images: Sequence[Looked],
    unreadable: Sequence[Unreadable] = (),
    passed_over: Counter[str] | None = None,
    remarks: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> Survey:
    """The survey of these images; `remarks` and `problems` are those of whoever found them."""
    counted = Counter((image.part, image.class_name) for image in images)
    return Survey(
        name=name,
        data=data,
        classes=tuple(classes),
        counts={part: {each: counted[part, each] for each in classes} for part in roles},
        roles=roles,
        shapes=_shapes(images) if images else None,
        kinds=_most_first(image.kind for image in images),
        formats=_most_first(image.format for image in images),
        n_bytes=sum(image.n_bytes for image in images),
        copies=copies_of((image.digest, image.name, image.class_name, roles[image.part]) for image in images),
        unreadable=tuple(unreadable),
        passed_over=dict((passed_over or Counter()).most_common()),
        remarks=tuple(remarks),
        problems=tuple(problems),
    )


def _shapes(images: Sequence[Looked]) -> Shapes:
    heights, widths = np.array([(image.height, image.width) for image in images], np.float64).T
    short, long = np.minimum(heights, widths), np.maximum(heights, widths)
    return Shapes(
        widths=_spread(widths),
        heights=_spread(heights),
        short_sides=_spread(short),
        aspects=_spread(widths / heights),
        elongations=_spread(long / short),
        elongated=int(np.count_nonzero(long > ELONGATED * short)),
        sides=_histogram(short),
    )


def _spread(values: np.ndarray) -> Spread:
    return Spread(*(float(np.quantile(values, share)) for share in (0, 0.25, 0.5, 1)))


def _histogram(sides: np.ndarray) -> dict[str, int]:
    """Numbers by bin, without the empty ones at both ends."""
    names = [f"below {SIDES[0]}", *(f"{low} to {high - 1}" for low, high in zip(SIDES, SIDES[1:], strict=False))]
    bins = np.bincount(np.searchsorted(SIDES, sides, side="right"), minlength=len(SIDES) + 1)
    filled = np.flatnonzero(bins)
    named = list(zip([*names, f"{SIDES[-1]} and more"], bins.tolist(), strict=True))
    return dict(named[filled[0] : filled[-1] + 1])


def _most_first(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())
