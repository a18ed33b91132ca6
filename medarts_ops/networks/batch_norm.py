"""Batch norm as this project's networks use it: it counts batches only where an average over them needs that."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose count of batches, a launch for each norm and step, moves only where momentum is None.

    Nothing else reads it. It stays in state dicts, so that weights are read and written by the same names.
    """

    def moving_statistics(self) -> tuple[Tensor | None, Tensor | None]:
        """The running mean and variance, where a pass reads or moves them."""
        moving = not self.training or self.track_running_stats
        return (self.running_mean, self.running_var) if moving else (None, None)

    def forward(self, images: Tensor) -> Tensor:
        """[image, channel, height, width], normalised per channel."""
        if self.momentum is None:  # an average over all batches, as torch's `update_bn` takes it
            return super().forward(images)
        return F.batch_norm(
            images,
            *self.moving_statistics(),
            weight=self.weight,
            bias=self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
