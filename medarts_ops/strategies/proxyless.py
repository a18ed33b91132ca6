"""ProxylessNAS's binary gates (Cai et al. 2019) in DARTS's space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.gumbel import DrawsGumbel
from medarts_ops.strategies.strategy import AlphaStep, Strategy, StrategySettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment


class ProxylessSettings(StrategySettings):
    """ProxylessNAS's binary gates (Cai et al., 2019), full: α learns from all gates of a step."""

    beta1: float = setting(0.0, "publication", "Adam's first decay on α, in place of alpha.beta1", ge=0, lt=1)

    def build(self, space: SearchSpace) -> Strategy:
        return Proxyless(space, self)


@dataclass(frozen=True)
class Proxyless(DrawsGumbel):
    """One operation of each edge is drawn with its probability p = softmax(α), and has the weight 1.

    In α's step the gradient of every gate counts: ∂L/∂α_i = Σ_j ∂L/∂g_j · p_j (δ_ij - p_i). All operations are
    computed, so that a step is as dear as DARTS's; the publication's pairs, which save memory, are left out. There is
    no second order: the weights don't move with α.
    """

    settings: ProxylessSettings = ProxylessSettings()

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """The gates, one-hot, in both steps; in α's with the gradient of p (straight through). Read as p."""
        from medarts_ops.strategies.alpha_tensors import masked_softmax
        from medarts_ops.strategies.draws import drawn_operation

        shares = masked_softmax(cell.arrays["op_logits"], cell.mask)
        if moment.phase == "reading" or cell.noise is None:
            return shares
        gates = drawn_operation(cell.arrays["op_logits"], cell.mask, cell.noise)
        return gates + (shares - shares.detach()) if moment.phase == "alpha" else gates

    def alpha_optimizer(self, arrays: Sequence[Tensor], step: AlphaStep) -> torch.optim.Optimizer:
        """Adam without momentum or decay, which would move what was not drawn."""
        config = step.config.model_copy(update={"beta1": self.settings.beta1})
        return super().alpha_optimizer(arrays, replace(step, weight_decay=0.0, config=config))
