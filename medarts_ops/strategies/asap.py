"""ASAP (Noy et al. 2019): annealed softmax mixtures, whose weak operations are pruned while the search goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medarts_ops.alpha import Alpha, CellAlpha, Mixtures
from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.strategy import StagePlace, Strategy

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment


class AsapSettings(DartsSettings):
    """ASAP (Noy et al., 2019)."""

    temperature_first: float = setting(
        1.6, "publication", "temperature of the mixtures at the search's beginning", gt=0
    )
    temperature_last: float = setting(0.13, "publication", "temperature at its end", gt=0)
    prune_below: float = setting(
        0.4,
        "publication",
        "an operation goes for good below this share of an equal weight, 1 / their number",
        ge=0,
        lt=1,
    )

    def build(self, space: SearchSpace) -> Strategy:
        return Asap(space, self)


@dataclass(frozen=True)
class Asap(Darts):
    """Mixtures softmax(α / T) of what is left; T falls by equal factors over the whole search.

    The publication's grace, while T is above 1, is `alpha.warmup` here.
    """

    settings: AsapSettings = AsapSettings()

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """Annealed softmax over the operations that are left."""
        from medarts_ops.strategies.alpha_tensors import masked_softmax
        from medarts_ops.strategies.draws import geometric

        first, last = self.settings.temperature_first, self.settings.temperature_last
        return masked_softmax(cell.arrays["op_logits"] / geometric(first, last, moment.progress), cell.mask)

    def after_epoch(self, alpha: Alpha, mixtures: Mixtures, place: StagePlace, epoch: int) -> Alpha:
        """Without the operations whose weights are too small; an edge keeps its strongest one beside `none`."""
        normal, reduce = (self._pruned(*cell) for cell in zip(alpha.cells, mixtures, strict=True))
        return Alpha(normal=normal, reduce=reduce)

    def _pruned(self, cell: CellAlpha, mixture: NDArray[np.floating]) -> CellAlpha:
        held = np.ones(mixture.shape, bool) if cell.mask is None else cell.mask
        left = held & (mixture >= self.settings.prune_below / mixture.shape[1])
        strongest = np.where(held & self.space.in_genotypes, mixture, -np.inf).argmax(axis=1)
        left[np.arange(len(left)), strongest] = True
        return cell.model_copy(update={"mask": None if left.all() else left})
