"""GDAS (Dong & Yang 2019): one drawn operation for each edge, whose relaxed probability carries the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.gumbel import DrawsGumbel
from medarts_ops.strategies.strategy import Strategy, StrategySettings

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment


class GdasSettings(StrategySettings):
    """GDAS (Dong & Yang, 2019)."""

    temperature_first: float = setting(10.0, "publication", "temperature of the draws at the search's beginning", gt=0)
    temperature_last: float = setting(0.1, "publication", "temperature at its end", gt=0)

    def build(self, space: SearchSpace) -> Strategy:
        return Gdas(space, self)


@dataclass(frozen=True)
class Gdas(DrawsGumbel):
    """Only the drawn operation has a weight, of 1, and α's gradient goes through that weight alone.

    All operations are computed, as for any mixture here, so that a step is as dear as DARTS's (the publication runs the
    drawn one alone). There is no second order: the weights don't move with α.
    """

    settings: GdasSettings = GdasSettings()

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """One-hot; the gradient is that of softmax((α + Gumbel) / τ) at the drawn operation. Read as softmax(α)."""
        from medarts_ops.strategies.alpha_tensors import masked_softmax
        from medarts_ops.strategies.draws import concrete, drawn_operation, linear

        logits = cell.arrays["op_logits"]
        if moment.phase == "reading" or cell.noise is None:
            return masked_softmax(logits, cell.mask)
        temperature = linear(self.settings.temperature_first, self.settings.temperature_last, moment.progress)
        relaxed = concrete(logits, cell.noise, temperature, cell.mask)
        return drawn_operation(logits, cell.mask, cell.noise) * (1 + (relaxed - relaxed.detach()))
