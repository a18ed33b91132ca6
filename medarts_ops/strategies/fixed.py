"""No search of α at all: the baseline that every strategy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts
from medarts_ops.strategies.strategy import Strategy, StrategySettings


class FixedSettings(StrategySettings):
    """α is drawn, inherited and crossed, and never trained: random search, and evolution without gradients."""

    def build(self, space: SearchSpace) -> Strategy:
        return Fixed(space)


@dataclass(frozen=True)
class Fixed(Darts):
    """DARTS whose α stays as it was at birth. Only w is trained, on the images that step it in any search."""

    trains_alpha = False
