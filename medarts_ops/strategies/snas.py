"""SNAS (Xie et al. 2019): a random one-hot choice for each edge, relaxed to a concrete variable that sharpens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.gumbel import DrawsGumbel
from medarts_ops.strategies.strategy import Strategy

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment


class SnasSettings(DartsSettings):
    """SNAS (Xie et al., 2019), bilevel."""

    temperature_first: float = setting(1.0, "publication", "temperature of the draws at the search's beginning", gt=0)
    temperature_last: float = setting(0.33, "ours", "temperature at its end (SNAS's own code: 0.03)", gt=0)

    def build(self, space: SearchSpace) -> Strategy:
        return Snas(space, self)


@dataclass(frozen=True)
class Snas(DrawsGumbel, Darts):
    """Mixtures softmax((α + Gumbel) / τ), through which the gradient goes; read as DARTS's."""

    settings: SnasSettings = SnasSettings()

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """A draw of the concrete distribution; τ falls linearly over the whole search (SNAS: over its epochs)."""
        from medarts_ops.strategies.draws import concrete, linear

        if moment.phase == "reading" or cell.noise is None:
            return super().mixture(cell, moment)
        temperature = linear(self.settings.temperature_first, self.settings.temperature_last, moment.progress)
        return concrete(cell.arrays["op_logits"], cell.noise, temperature, cell.mask)
