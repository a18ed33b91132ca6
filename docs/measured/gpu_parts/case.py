"""What the cases of all parts share: what was asked for, the machine, and memory."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch

from medarts_ops.config import AuxiliaryConfig, DatasetConfig, EvaluateConfig, SpaceConfig
from medarts_ops.config_runtime import EvaluationRuntimeConfig
from medarts_ops.provenance import git_commit, git_is_dirty
from medarts_ops.training.runtime import Gpu, resolve_device

Row = Mapping[str, Any]
Case = Callable[[], Row]
MIB = 2**20
NEEDS_CARD: Row = {"skipped": "needs a card"}


class Asked(NamedTuple):
    """What a part is measured with: a folder for its jobs, the images, the sizes, and when (`monotonic`) to stop."""

    folder: Path
    images: Path
    tiny: bool
    end: float

    @property
    def repeats(self) -> int:
        """Timed turns, of which medians are told."""
        return 1 if self.tiny else 10

    @property
    def side(self) -> int:
        """Of the images that an evaluation sees; a search halves it."""
        return 16 if self.tiny else 32

    def dataset(self, *, halved: bool) -> DatasetConfig:
        resolution = self.side if self.tiny else None
        return DatasetConfig(name="npz", data=str(self.images), resolution=resolution, low_resolution=halved)

    def space(self) -> SpaceConfig:
        return SpaceConfig(nodes=2, primitives=("none", "skip_connect", "sep_conv_3x3")) if self.tiny else SpaceConfig()

    def evaluation(self, runtime: EvaluationRuntimeConfig | None = None) -> EvaluateConfig:
        """DARTS's evaluation, of the model's defaults."""
        config = EvaluateConfig(
            preset="cifar10", dataset=self.dataset(halved=False), runtime=runtime or EvaluationRuntimeConfig()
        )
        if not self.tiny:
            return config
        smaller = {"cells": 3, "channels": 2, "batch": 4, "images": 40, "auxiliary": AuxiliaryConfig(weight=0.0)}
        return config.model_copy(update=smaller)


def on_card() -> bool:
    return torch.cuda.is_available()


def device() -> torch.device:
    return resolve_device("auto")


def machine(commit: str | None) -> dict[str, Any]:
    """The card, or the CPU, the versions of what computes, and the day; of what can't be found out `unknown`."""
    gpu = Gpu.of_device(device())
    found = {"": platform.processor() or "CPU"}
    if gpu is not None:
        capability = ".".join(map(str, gpu.capability))
        found = {"": gpu.name, "capability": capability, "driver": gpu.driver or "unknown"}
        found |= {"CUDA": gpu.cuda or "unknown", "cuDNN": str(gpu.cudnn or "unknown")}
    changed = " with changes" if not commit and git_is_dirty() else ""
    found |= {"torch": torch.__version__, "commit": (commit or git_commit() or "unknown")[:12] + changed}
    return found | {"on": f"{date.today():%Y-%m-%d}"}
