"""What better means, and who is chosen, as settings."""

from __future__ import annotations

from typing import Literal

from medarts_ops.settings import MAX_CELLS, MAX_CHANNELS, MAX_IMAGES, NamedSettings, Settings, resolved, setting

Direction = Literal["maximize", "minimize"]


class ObjectiveConfig(NamedSettings):
    """One objective of the selection (paper III.C.3)."""

    name: str = setting("accuracy", "paper", "registered objective")
    direction: Direction | None = setting(None, "ours", "which way is better; empty is the objective's natural one")


class ResolvedObjective(ObjectiveConfig):
    """An objective whose direction is explicit."""

    direction: Direction = resolved(ObjectiveConfig, "direction")


class ParaAugConfig(Settings):
    """The network whose parameters para_aug counts: an evaluation network without auxiliary head."""

    cells: int = setting(20, "paper", "cells of the counted network", ge=3, le=MAX_CELLS)
    channels: int = setting(36, "DARTS", "first channels of the counted network", ge=1, le=MAX_CHANNELS)


class ReadingConfig(NamedSettings):
    """How a trained individual's genotype is read."""

    name: Literal["mixture", "perturbation"] = setting(
        "mixture",
        "paper",
        "by the weights of the mixtures, or by how much the loss rises without an operation (DARTS-PT), which takes a "
        "forward pass of the images for each operation of each edge",
    )
    images: int = setting(
        512, "ours", "perturbation: validation images that each loss is taken on", ge=2, le=MAX_IMAGES
    )
