"""How far the normal cells of a supernet agree on their operations: Λ of Λ-DARTS, which falls when cells collapse."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.networks.frozen import frozen_statistics, frozen_weights
from medarts_ops.networks.supernet import MixedCell
from medarts_ops.strategies.problem import mean_losses

if TYPE_CHECKING:
    from medarts_ops.training.bilevel import SearchTraining

SCALE = 1024.0
"""Of the loss, so that gradients are not lost in half precision; a cosine doesn't see it."""


def layer_alignment(training: SearchTraining) -> Tensor:
    """Λ [individual], the mean cosine of the gradients of two normal cells' mixtures; it stays on the device.

    2 / (L (L - 1)) · Σ cos(g_i, g_j), in -1…1: 1 where all cells want the same of θ; near 0 where they disagree, and α
    learns little but skips. NaN with fewer than two normal cells. On the first batch of the α half; nothing is changed.

    Source: Λ-DARTS (Movahedi et al. 2023), whose regularizer is left out.
    """
    gradients = cell_gradients(training)
    if len(gradients) < 2:
        return torch.full((len(training.members),), torch.nan, device=training.runtime.device)
    cosines = [F.cosine_similarity(one, other, dim=1) for one, other in combinations(gradients, 2)]
    return torch.stack(cosines).mean(dim=0)


def cell_gradients(training: SearchTraining) -> list[Tensor]:
    """∂L/∂θ [individual, edge · op] of each normal cell alone, where all have the θ that α says; in any one scale."""
    cells = [cell for cell in training.supernet.cells if isinstance(cell, MixedCell) and not cell.reduction]
    first = torch.from_numpy(training.tensors.data.alpha_indices)[: training.task.stage.batch]
    batch = training.tensors.placed.plain(first)
    with torch.no_grad():
        normal, reduce = training.reading_mixtures()
    own = [normal.clone().requires_grad_() for _ in cells]
    training.supernet.train()
    with ExitStack() as stack:
        for cell, mixture in zip(cells, own, strict=True):
            stack.enter_context(cell.register_forward_pre_hook(partial(_with_own, mixture)))
        stack.enter_context(frozen_statistics(training.supernet))
        stack.enter_context(frozen_weights(training.supernet))
        stack.enter_context(training.runtime.autocast())
        logits = training.supernet.of_shared(batch.images, normal, reduce)
        losses = mean_losses(logits, batch.labels.expand(logits.shape[:2]))
    return [each.flatten(1).float() for each in torch.autograd.grad(SCALE * losses.sum(), own)]


def _with_own(mixture: Tensor, cell: MixedCell, given: tuple[Any, ...]) -> tuple[Any, ...]:
    before_previous, previous, _, dropout = given
    return before_previous, previous, cell.weights(*cell.entries_of(mixture)), dropout
