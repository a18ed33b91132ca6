"""GDAS (Dong & Yang 2019): one drawn operation for each edge, whose relaxed probability carries the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.snas import Snas
from medarts_ops.strategies.strategy import Strategy, StrategySettings

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment


class GdasSettings(StrategySettings):
    """GDAS (Dong & Yang, 2019)."""

    temperature_first: float = setting(10.0, "GDAS", "temperature of the draws at the search's beginning", gt=0)
    temperature_last: float = setting(0.1, "GDAS", "temperature at its end", gt=0)

    def build(self, space: SearchSpace) -> Strategy:
        return Gdas(space, self.temperature_first, self.temperature_last)


@dataclass(frozen=True)
class Gdas(Snas):
    """Only the drawn operation has a weight, of 1, and α's gradient goes through that weight alone.

    All operations are computed, as for any mixture here, so that a step is as dear as DARTS's (the publication runs the
    drawn one alone).
    """

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """One-hot; the gradient is that of softmax((α + Gumbel) / τ) at the drawn operation."""
        from medarts_ops.strategies.draws import drawn_operation

        relaxed = super().mixture(cell, moment)
        if moment.phase == "reading" or cell.noise is None:
            return relaxed
        drawn = drawn_operation(cell.arrays["op_logits"], cell.mask, cell.noise)
        return drawn * (1 + (relaxed - relaxed.detach()))
