"""How cells are stacked into a network: widths, reduction places, and the spec of a supernet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medarts_ops.errors import ConfigError
from medarts_ops.settings import PHOTO_SIDE, StemChoice, StemKind
from medarts_ops.space.search_space import SearchSpace

STEM_MULTIPLIER = 3  # the stem for CIFAR has 3C channels (DARTS)

SMALLEST_PHOTO = 64
"""Side of images that a stem of three convolutions and two reductions leave a map of 2×2."""


def resolve_stem(asked: StemChoice, resolution: tuple[int, int]) -> StemKind:
    """The stem of a network that sees images of `resolution`, (height, width): as asked for, `auto` by their size."""
    if asked != "auto":
        return asked
    return "imagenet" if min(resolution) >= PHOTO_SIDE else "cifar"


def check_stem(stem: StemKind, channels: int, resolution: tuple[int, int], path: str = "") -> None:
    """Refuse, by a ConfigError, images and channels that a stem is no match for; `path` is before `channels`."""
    if stem != "imagenet":
        return
    if channels % 2:
        raise ConfigError(
            f"{path}channels is {channels} and stem imagenet, which halves them: give an even number, or set stem=cifar"
        )
    if min(resolution) < SMALLEST_PHOTO:
        height, width = resolution
        raise ConfigError(
            f"stem is imagenet and the images are {height}×{width}: allowed are sides of {SMALLEST_PHOTO} or more, "
            "of which a 32nd is left; set stem=cifar or dataset.resolution"
        )


def map_sizes(height: int, width: int, stem: StemKind) -> list[tuple[int, int]]:
    """Height and width of the maps that cells compute of images, the largest first: both reductions halve them."""
    first = 8 if stem == "imagenet" else 1
    return [(-(-height // part), -(-width // part)) for part in (first, 2 * first, 4 * first)]


@dataclass(frozen=True)
class CellPlace:
    """One cell of a network: its widths, and whether it or the cell before it reduces."""

    index: int
    before_previous_channels: int
    previous_channels: int
    channels: int
    reduction: bool
    previous_reduction: bool


def cell_places(cells: int, channels: int, outputs: tuple[int, int], stem: StemKind = "cifar") -> Iterator[CellPlace]:
    """The cells in order (DARTS), reductions at one and two thirds; `outputs` of normal and reduction cells each.

    The first cell behind a stem of three convolutions reads the last two, so that it stands as after a reduction.
    """
    if cells < 3:
        raise ConfigError(f"a network of {cells} cells has no normal cell of its own: allowed are 3 or more")
    before_previous = previous = channels if stem == "imagenet" else STEM_MULTIPLIER * channels
    previous_reduction = stem == "imagenet"
    for index in range(cells):
        reduction = index in (cells // 3, 2 * cells // 3)
        if reduction:
            channels *= 2
        yield CellPlace(index, before_previous, previous, channels, reduction, previous_reduction)
        before_previous, previous = previous, channels * outputs[reduction]
        previous_reduction = reduction


@dataclass(frozen=True)
class SupernetSpec:
    """What a strategy asks of the supernet: the space, and which operations each edge has.

    Masks are bool [edge, op]; an edge without any operation contributes nothing. Operations see the first
    1 / `channel_share` of a state's channels (PC-DARTS); the others pass them by, on each edge weighed by the sum of
    its row of the mixture, `none` and masked operations included.
    """

    space: SearchSpace
    normal_mask: NDArray[np.bool_]
    reduce_mask: NDArray[np.bool_]
    channel_share: int = 1

    def __post_init__(self) -> None:
        expected = (self.space.n_edges, self.space.n_primitives)
        for name, mask in (("normal_mask", self.normal_mask), ("reduce_mask", self.reduce_mask)):
            if mask.shape != expected:
                raise ConfigError(f"{name} is {mask.shape}: allowed is [edge, op] = {expected}")
        if self.channel_share < 1:
            raise ConfigError(f"channel_share is {self.channel_share}: allowed are whole numbers from 1")

    def check_channels(self, channels: int) -> None:
        """Raise a ConfigError if `channels` can't be divided so; a supernet's wider cells have multiples of them."""
        if channels % self.channel_share:
            wanted = f"multiples of {self.channel_share}, of which operations see the first 1/{self.channel_share}"
            got = f"a supernet's channels are {channels}"
            raise ConfigError(f"{got}: allowed are {wanted}; change the stage's channels")

    @classmethod
    def full(cls, space: SearchSpace) -> SupernetSpec:
        mask = np.ones((space.n_edges, space.n_primitives), dtype=bool)
        return cls(space, mask, mask)

    def restricted(self, normal: NDArray[np.bool_], reduce: NDArray[np.bool_]) -> SupernetSpec:
        """The same without the operations that these masks, bool [edge, op], don't have."""
        return replace(self, normal_mask=self.normal_mask & normal, reduce_mask=self.reduce_mask & reduce)

    def mask(self, reduction: bool) -> NDArray[np.bool_]:
        return self.reduce_mask if reduction else self.normal_mask
