"""Which images, how they are read, and how a search approximates them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from medarts_ops.errors import ConfigError
from medarts_ops.settings import MAX_PIXELS, MAX_SIDE, Fit, Settings, setting


class DatasetConfig(Settings):
    """Which images, and how the search approximates them (paper III.C.2)."""

    without_effect = frozenset({"max_pixels", "cache"})
    added_later = frozenset({"fit", "skip_unreadable"})

    name: str = setting("digits", "ours", "digits, cifar10, cifar100, folder or npz")
    data: str | None = setting(None, "ours", "folder or file that holds the images; downloads go there too")
    resolution: int | None = setting(
        None, "ours", "resize every image to this side; empty keeps the images' own", ge=8, le=MAX_SIDE
    )
    max_pixels: int = setting(
        200_000_000,
        "ours",
        "folder: larger images are refused; each pixel takes four bytes",
        ge=64,
        le=MAX_PIXELS,
    )
    fit: Fit = setting(
        "squash",
        "ours",
        "how images of another shape come to the resolution: squash distorts them, crop cuts their centre out, pad "
        "keeps all of them between margins of their mean colour",
    )
    skip_unreadable: bool = setting(
        False, "ours", "folder: images that can't be read are left out, named and counted, in place of a refusal"
    )
    cache: str | None = setting(
        None, "ours", "folder: where its images are kept as read, for the next job; empty decodes them each time"
    )
    test_share: float = setting(0.2, "ours", "held out as test set, by class, where the data bring none", gt=0, lt=1)
    sampling: Literal["balanced", "stratified"] = setting(
        "balanced", "paper", "D_sample: equally many of each class, or the classes' own proportions"
    )
    low_resolution: bool = setting(True, "paper", "D_low: search at half width and height (LANCZOS)")

    def seen_side(self, whole: int) -> int:
        """The side of what a search trains on, in pixels, of images that have `whole` where no resolution is set."""
        return (self.resolution or whole) // (2 if self.low_resolution else 1)

    @model_validator(mode="after")
    def _fits_to_something(self) -> Self:
        if self.fit != "squash" and self.resolution is None:
            raise ConfigError(
                f"dataset.fit is {self.fit!r} and dataset.resolution empty: images keep their own size, so there is "
                "nothing to fit them to; give --resolution N"
            )
        return self
