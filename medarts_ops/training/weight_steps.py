"""How weights are stepped, in bilevel and in supervised training alike: their learning rate, and the clipped step."""

from __future__ import annotations

import math

import torch


def cosine_rate(first: float, least: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch, from 0: a cosine from exactly `first` towards `least`, as DARTS anneals."""
    return least + (first - least) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def clipped_update(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, grad_clip: float) -> None:
    """Unscale, clip the norm over all of the optimizer's weights, step; the scaler's turn ends here."""
    scaler.unscale_(optimizer)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    scaler.step(optimizer)
    scaler.update()
