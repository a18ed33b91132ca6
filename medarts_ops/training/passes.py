"""What bilevel and supervised training do alike: a clipped step of the weights, and a pass that only measures."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.training.placed_images import PlacedImages

LEAST_MEASURED = 256
"""Images of a measured batch: no gradients are kept, so more fit than in a training step."""


def clipped_step(
    loss: Tensor, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, grad_clip: float
) -> None:
    """Back-propagate, unscale, clip the norm over all of the optimizer's weights, step; the scaler's turn ends here."""
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    scaler.step(optimizer)
    scaler.update()


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """How many of `logits [image, class]` are right; a count that stays on the device."""
    return (logits.detach().argmax(dim=1) == labels).sum()


@torch.no_grad()
def measure(
    logits_of: Callable[[Tensor], Tensor], placed: PlacedImages, indices: Tensor, training_batch: int
) -> tuple[Tensor, Tensor]:
    """Summed loss and hits of `logits_of` over the images at `indices`, unaugmented; both stay on the device.

    The caller has put its network into eval mode. Batches are as large as `training_batch`, or larger.
    """
    runtime = placed.runtime
    loss, right = (torch.zeros((), device=runtime.device) for _ in range(2))
    for chosen in indices.split(max(LEAST_MEASURED, training_batch)):
        batch = placed.plain(chosen)
        with runtime.autocast():
            logits = logits_of(batch.images)
            loss += F.cross_entropy(logits, batch.labels, reduction="sum").float()
        right += hits(logits, batch.labels)
    return loss, right
