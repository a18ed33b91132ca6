"""A stage's images where training wants them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medarts_ops.data.stage_data import StageData
from medarts_ops.training.runtime import Runtime


@dataclass(frozen=True)
class StageTensors:
    """A stage's images where training wants them. `images` uint8 [image, height, width, channel]."""

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    data: StageData

    @classmethod
    def place(cls, data: StageData, runtime: Runtime) -> StageTensors:
        """Move a stage's data to the device (or to pinned memory)."""
        return cls(
            images=runtime.place_images(data.images),
            labels=torch.from_numpy(data.labels).to(runtime.device),
            mean=torch.from_numpy(data.mean).float().to(runtime.device),
            std=torch.from_numpy(data.std).float().to(runtime.device),
            data=data,
        )
