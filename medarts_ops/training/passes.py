"""What bilevel and supervised training do alike: a clipped step of the weights, and a pass that only measures."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.training.placed_images import PlacedImages


def cosine_rate(first: float, least: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch, from 0: a cosine from exactly `first` towards `least`, as DARTS anneals."""
    return least + (first - least) * (1 + math.cos(math.pi * epoch / epochs)) / 2


LEAST_MEASURED = 256
"""Images of a measured batch: no gradients are kept, so more fit than in a training step."""


def clipped_step(
    loss: Tensor, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, grad_clip: float
) -> None:
    """Back-propagate, then `clipped_update`."""
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    clipped_update(optimizer, scaler, grad_clip)


def clipped_update(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, grad_clip: float) -> None:
    """Unscale, clip the norm over all of the optimizer's weights, step; the scaler's turn ends here."""
    scaler.unscale_(optimizer)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    scaler.step(optimizer)
    scaler.update()


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """How many of `logits […, image, class]` are right, […]; a count that stays on the device."""
    return (logits.detach().argmax(dim=-1) == labels).sum(dim=-1)


@torch.no_grad()
def measure(
    logits_of: Callable[[Tensor], Tensor], placed: PlacedImages, indices: Tensor, training_batch: int
) -> tuple[Tensor, Tensor]:
    """Summed losses and hits of `logits_of` over the images at `indices`, unaugmented; both stay on the device.

    `logits_of` gives [image, class], or [individual, image, class] for a stack, whose sums are [individual]. The
    caller has put its network into eval mode. Batches are as large as `training_batch`, or larger.
    """
    runtime = placed.runtime
    sums: list[tuple[Tensor, Tensor]] = []
    for chosen in indices.split(max(LEAST_MEASURED, training_batch)):
        batch = placed.plain(chosen)
        with runtime.autocast():
            logits = logits_of(batch.images)
            labels = batch.labels.expand(logits.shape[:-1])
            losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)
        sums.append((losses.float().sum(dim=-1), hits(logits, batch.labels)))
    losses_of_batches, hits_of_batches = zip(*sums, strict=True)
    return torch.stack(losses_of_batches).sum(dim=0), torch.stack(hits_of_batches).sum(dim=0)
