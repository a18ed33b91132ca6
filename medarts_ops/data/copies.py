"""Images that are there more than once: within a class, in two classes, or in training and test set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from medarts_ops.quantities import counted

Place = Literal["within a class", "in several classes", "in training and test set"]

NAMED = 3
"""Groups of copies that are named."""

NAMED_OF_A_GROUP = 4


@dataclass(frozen=True)
class Copies:
    """Copies of one kind: `groups` of equal images with `images` in all, of which the first groups are `named`."""

    place: Place
    groups: int
    images: int
    named: tuple[tuple[str, ...], ...]

    @property
    def in_words(self) -> str:
        """A sentence on them."""
        first = "; ".join(" = ".join(group) for group in self.named)
        more = "; …" if self.groups > len(self.named) else ""
        count = f"{self.images:,} images, {counted(self.groups, 'group')}"
        return f"equal images {self.place} ({count}): {first}{more}"


class _Image(NamedTuple):
    digest: bytes
    name: str
    class_name: str
    role: str


def copies_of(images: Iterable[tuple[bytes, str, str, str]]) -> tuple[Copies, ...]:
    """The copies among images of (digest, name, class, role), by kind, the worst first; kinds without any are left out.

    A group of equal images can be of several kinds: within a class are those with two images of one class and role.
    """
    groups: dict[bytes, list[_Image]] = {}
    for image in map(_Image._make, images):
        groups.setdefault(image.digest, []).append(image)
    equal = [group for group in groups.values() if len(group) > 1]
    kinds: dict[Place, list[list[_Image]]] = {
        "in several classes": [group for group in equal if len({image.class_name for image in group}) > 1],
        "in training and test set": [group for group in equal if len({image.role for image in group}) > 1],
        "within a class": [group for group in equal if len({image[2:] for image in group}) < len(group)],
    }
    return tuple(
        Copies(
            place,
            groups=len(found),
            images=sum(map(len, found)),
            named=tuple(_named(group) for group in found[:NAMED]),
        )
        for place, found in kinds.items()
        if found
    )


def _named(group: list[_Image]) -> tuple[str, ...]:
    """Some of a group by name, one of each class and role before others."""
    differing = {image[2:]: image for image in reversed(group)}
    chosen = sorted(group, key=lambda image: differing[image[2:]] is not image)
    return tuple(image.name for image in chosen[:NAMED_OF_A_GROUP])
