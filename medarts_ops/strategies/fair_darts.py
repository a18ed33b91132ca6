"""FairDARTS (Chu et al. 2020): operations that don't compete, each drawn to 0 or to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.strategy import Strategy, StrategySettings

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import AlphaTensors, CellTensors
    from medarts_ops.strategies.problem import Moment


class FairDartsSettings(StrategySettings):
    """FairDARTS (Chu et al., 2020)."""

    zero_one: float = setting(10.0, "publication", "weight of the loss that draws weights to 0 or to 1", ge=0)

    def build(self, space: SearchSpace) -> Strategy:
        return FairDarts(space, self)


@dataclass(frozen=True)
class FairDarts(Strategy):
    """First-order DARTS with sigmoid(α) for each operation; `none` has no weight, since it has nobody to compete with.

    It is read as DARTS is: two edges for each node, though the publication leaves out edges below a threshold, which a
    genotype of this space cannot say.
    """

    settings: FairDartsSettings = FairDartsSettings()

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """Each operation's own weight in 0…1; a row's sum is anything."""
        import torch

        from medarts_ops.strategies.alpha_tensors import each_alone

        return torch.where(self._weighed(cell), each_alone(torch.sigmoid, cell.arrays["op_logits"]), 0.0)

    def penalty(self, alpha: AlphaTensors, moment: Moment) -> Tensor | None:
        """The zero-one loss [individual], -mean (θ - 1/2)² over all weights that there are, times `zero_one`."""
        if not self.settings.zero_one:
            return None
        import torch

        weights = torch.cat([self.mixture(cell, moment) for cell in alpha.cells], dim=1)
        weighed = torch.cat([self._weighed(cell) for cell in alpha.cells], dim=1)
        loss = -((weights - 0.5).square() * weighed).sum(dim=(1, 2)) / weighed.sum(dim=(1, 2))
        return self.settings.zero_one * loss

    def _weighed(self, cell: CellTensors) -> Tensor:
        """The operations [individual, edge, op] that have a weight: all that there are but `none`."""
        if "none" not in self.space.primitives:
            return cell.mask
        weighed = cell.mask.clone()
        weighed[:, :, self.space.primitives.index("none")] = False
        return weighed
