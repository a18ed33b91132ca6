"""How w and α are trained: optimizers and augmentation, as settings."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from medarts_ops.settings import MAX_EPOCHS, MAX_SIDE, Settings, setting

Schedule = Literal["cosine", "linear"]
"""How a learning rate falls."""


class WeightsConfig(Settings):
    """SGD on the weights w, whose rate falls over the epochs of a stage or of an evaluation."""

    added_later = frozenset({"schedule"})

    lr: float = setting(0.025, "DARTS", "learning rate of the first epoch", gt=0)
    lr_min: float = setting(0.001, "DARTS", "learning rate that it falls to", ge=0)
    schedule: Schedule = setting(
        "cosine", "DARTS", "how it falls; linear is P-DARTS's and PC-DARTS's way on ImageNet, there to 0"
    )
    momentum: float = setting(0.9, "DARTS", "SGD momentum", ge=0, lt=1)
    weight_decay: float = setting(3e-4, "DARTS", "L2 penalty on w", ge=0)
    grad_clip: float = setting(5.0, "DARTS", "largest gradient norm", gt=0)


class AlphaConfig(Settings):
    """Adam on α."""

    added_later = frozenset({"warmup"})

    lr: float = setting(3e-4, "DARTS", "learning rate", gt=0)
    beta1: float = setting(0.5, "DARTS", "Adam's first decay", ge=0, lt=1)
    beta2: float = setting(0.999, "DARTS", "Adam's second decay", ge=0, lt=1)
    weight_decay: float = setting(1e-3, "DARTS", "L2 penalty on α", ge=0)
    init_std: float = setting(1e-3, "DARTS", "standard deviation of a random α", ge=0)
    warmup_epochs: int = setting(
        0, "DARTS", "first epochs of a stage that train w only (P-DARTS 10, PC-DARTS 15)", ge=0, le=MAX_EPOCHS
    )
    warmup: float | None = setting(
        None, "ours", "the same as a share of each stage's epochs, in place of alpha.warmup_epochs", ge=0, lt=1
    )


class AugmentConfig(Settings):
    """Augmentation of training images; test and validation images are only normalised."""

    added_later = frozenset({"random_resized_crop"})

    crop_padding: int | None = setting(
        None, "DARTS", "random crop after padding; empty is resolution // 8 (4 at 32)", ge=0, le=MAX_SIDE
    )
    random_resized_crop: float | None = setting(
        None,
        "DARTS",
        "in place of crop_padding: crops of random size and shape, enlarged to the whole, of this share of the area at "
        "least (0.08 on ImageNet); empty is off",
        gt=0,
        le=1,
    )
    flip: bool = setting(True, "DARTS", "random horizontal flip")
    cutout: int = setting(
        0,
        "DARTS",
        "side of the square that cutout blanks, an odd one less by 1, so that 1 blanks nothing (DARTS's rounding); "
        "0 is off (8 at 16×16 in paper IV.D)",
        ge=0,
        le=MAX_SIDE,
    )

    @model_validator(mode="after")
    def _crops_one_way(self) -> Self:
        if self.crop_padding and self.random_resized_crop is not None:
            raise ValueError(
                f"crop_padding is {self.crop_padding} and random_resized_crop {self.random_resized_crop:g}: allowed is "
                "one of the two; leave crop_padding or random_resized_crop empty"
            )
        return self
