"""Beta-DARTS's regularizer (Ye et al. 2022), decoupled from Adam: large weights of a mixture decay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class BetaAdam(torch.optim.Adam):
    """Adam, and after each of its steps α ← α - lr · λ · t · softmax(α) / edges, of arrays [edge, op].

    λ is `strength`, t the share of the search that is over, a number on the device. That is the gradient of
    λ · t · mean over edges of logsumexp(α), which inside of Adam would rule its second moment (ours: the publication
    adds it to the loss).
    """

    def __init__(self, arrays: Sequence[Tensor], *, strength: float, progress: Tensor, **adam: Any) -> None:
        super().__init__(arrays, **adam)
        self._strength, self._progress = strength, progress

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """A step of Adam, then the decay; a step that a loss scale left out decays nothing."""
        loss: float | None = super().step(closure)
        overflowed = getattr(self, "found_inf", None)  # torch sets it where Adam itself minds the loss scale
        kept = 1.0 if overflowed is None else 1.0 - overflowed
        for group in self.param_groups:
            for array in group["params"]:
                if array.dim() == 2:
                    decay = self._strength * self._progress * torch.softmax(array, dim=-1) / len(array)
                    array.sub_(group["lr"] * decay * kept)
        return loss
