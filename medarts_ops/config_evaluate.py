"""Full-size training of one genotype: its settings, each with the origin of its default."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from medarts_ops.config_dataset import DatasetConfig
from medarts_ops.config_runtime import EvaluationRuntimeConfig, ResolvedEvaluationRuntime
from medarts_ops.config_training import AugmentConfig, WeightsConfig
from medarts_ops.errors import ConfigError
from medarts_ops.settings import (
    MAX_BATCH,
    MAX_CELLS,
    MAX_CHANNELS,
    MAX_EPOCHS,
    MAX_IMAGES,
    PHOTO_SIDE,
    STEM_BEFORE,
    Settings,
    StemChoice,
    StemKind,
    resolved,
    setting,
)


class AuxiliaryConfig(Settings):
    """The auxiliary classifier at two thirds of the depth."""

    weight: float = setting(0.4, "DARTS", "its loss's weight; 0 builds no auxiliary head", ge=0)


class EvaluateConfig(Settings):
    """Full-size training of one genotype (DARTS's setting, paper IV.C)."""

    added_later = frozenset(
        {
            "images",
            "stem",
            "accumulate",
            "warmup_epochs",
            "label_smoothing",
            "class_weights",
            "validation_share",
            "patience",
        }
    )
    as_before = STEM_BEFORE

    preset: str = setting("digits", "ours", "the preset that these settings started from")
    seed: int = setting(0, "ours", "the one seed that all random streams come from", ge=0)
    dataset: DatasetConfig = DatasetConfig(low_resolution=False)
    cells: int = setting(20, "DARTS", "cells of the network", ge=3, le=MAX_CELLS)
    channels: int = setting(36, "DARTS", "channels of the first cells", ge=1, le=MAX_CHANNELS)
    stem: StemChoice = setting(
        "auto",
        "DARTS",
        "what is before the cells: one convolution, or for photos three of stride 2; auto: imagenet if both sides of "
        f"the images are {PHOTO_SIDE} pixels or more",
    )
    epochs: int = setting(600, "DARTS", "epochs of training", ge=1, le=MAX_EPOCHS)
    images: int | None = setting(
        None,
        "DARTS",
        "training images: as many of each class, drawn with the seed as D_sample is; empty takes all, paper IV.D fewer",
        ge=2,
        le=MAX_IMAGES,
    )
    validation_share: float = setting(
        0.0,
        "DARTS",
        "of the training images, by class, held back to choose the epoch by; the test set is used once, at the end, "
        "for that epoch; 0 takes the last epoch, and tests each",
        ge=0,
        lt=1,
    )
    patience: int | None = setting(
        None,
        "ours",
        "epochs without a better one, by the validation images, after which training stops; empty never stops early",
        ge=1,
        le=MAX_EPOCHS,
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "DARTS",
        "of the loss: all images alike, or all classes, by n / (classes · images of the class); balanced chooses the "
        "epoch by balanced accuracy, too",
    )
    batch: int = setting(96, "DARTS", "images a step", ge=1, le=MAX_BATCH)
    accumulate: int = setting(
        1,
        "ours",
        "batches whose gradients make one step, in the memory of one: as a batch so many times as large, but for batch "
        "norm, which sees each by itself",
        ge=1,
        le=MAX_BATCH,
    )
    weights: WeightsConfig = WeightsConfig(lr_min=0.0)
    warmup_epochs: int = setting(
        0,
        "DARTS",
        "first epochs, in which the rate rises in equal steps to weights.lr (P-DARTS and PC-DARTS on ImageNet: 5)",
        ge=0,
        le=MAX_EPOCHS,
    )
    label_smoothing: float = setting(
        0.0, "DARTS", "share of the target that is spread over all classes, in training (0.1 on ImageNet)", ge=0, lt=1
    )
    drop_path: float = setting(
        0.2, "DARTS", "drop-path probability of the last epoch, rising linearly from 0", ge=0, lt=1
    )
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
    augment: AugmentConfig = AugmentConfig(cutout=16)
    runtime: EvaluationRuntimeConfig = EvaluationRuntimeConfig()

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise ConfigError(
                f"warmup_epochs is {self.warmup_epochs} and epochs {self.epochs}: allowed are 0 to {self.epochs}, so "
                "that the rate comes to weights.lr; lower warmup_epochs"
            )
        return self

    @model_validator(mode="after")
    def _has_images_to_be_patient_by(self) -> Self:
        if self.patience is not None and not self.validation_share:
            raise ConfigError(
                f"patience is {self.patience} and validation_share 0: there are no validation images to stop by; "
                "set validation_share=0.1, say"
            )
        return self


class ResolvedEvaluateConfig(EvaluateConfig):
    """An evaluation's settings without any `auto`. Their JSON is an EvaluateConfig's."""

    stem: StemKind = resolved(EvaluateConfig, "stem")
    runtime: ResolvedEvaluationRuntime
