"""What better means, and who is chosen, as settings."""

from __future__ import annotations

from typing import Literal

from medarts_ops.settings import MAX_CELLS, MAX_CHANNELS, NamedSettings, Settings, resolved, setting

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
