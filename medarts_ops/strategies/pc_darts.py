"""PC-DARTS (Xu et al. 2020): a share of the channels is mixed, the others pass by; edges have weights of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.strategy import StagePlace, Strategy

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment

EDGE_LOGITS = "edge_logits"


class PcDartsSettings(DartsSettings):
    """PC-DARTS (Xu et al., 2020): partial channels and edge normalization."""

    channel_share: int = setting(4, "publication", "one of how many channels is mixed; 1 mixes all", ge=1, le=64)

    def build(self, space: SearchSpace) -> Strategy:
        return PcDarts(space, self)


@dataclass(frozen=True)
class PcDarts(Darts):
    """DARTS on 1 / `channel_share` of the channels, with edge weights β beside α.

    The other channels pass by, through a 2×2 max-pooling where the stride is 2, and all are shuffled.
    """

    settings: PcDartsSettings = PcDartsSettings()

    def supernet_spec(self, place: StagePlace) -> SupernetSpec:
        return replace(SupernetSpec.full(self.space), channel_share=self.settings.channel_share)

    def initial_alpha(self, std: float, rng: np.random.Generator) -> Alpha:
        """α as DARTS's, then β of the same spread, `edge_logits [edge]`."""
        plain = super().initial_alpha(std, rng)
        normal, reduce = (self._with_edges(cell, std, rng) for cell in plain.cells)
        return Alpha(normal=normal, reduce=reduce)

    def _with_edges(self, cell: CellAlpha, std: float, rng: np.random.Generator) -> CellAlpha:
        return CellAlpha(arrays={**cell.arrays, EDGE_LOGITS: std * rng.standard_normal(self.space.n_edges)})

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """softmax(β) over the edges of a node, times softmax(α) over the operations of an edge; read as such, too."""
        from medarts_ops.strategies.edges import softmax_by_node

        return softmax_by_node(cell.arrays[EDGE_LOGITS], self.space)[..., None] * super().mixture(cell, moment)
