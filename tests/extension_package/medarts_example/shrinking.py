"""A strategy with edge weights, whose edges lose their weakest operation after every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from medarts_ops.alpha import Alpha, CellAlpha, Mixtures
from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.alpha_tensors import CellTensors, masked_softmax
from medarts_ops.strategies.problem import Moment
from medarts_ops.strategies.strategy import StagePlace, Strategy, StrategySettings


class ShrinkingSettings(StrategySettings):
    """The settings of strategy `shrinking`, and how it is built."""

    fewest: int = setting(3, "ours", "operations that an edge keeps", ge=2)

    def build(self, space: SearchSpace) -> Strategy:
        """The strategy over a space."""
        return Shrinking(space, self.fewest)


@dataclass(frozen=True)
class Shrinking(Strategy):
    """First-order DARTS with a gate for each edge, and fewer operations from epoch to epoch."""

    fewest: int

    def initial_alpha(self, std: float, rng: np.random.Generator) -> Alpha:
        """Logits of operations [edge, op] and of edges [edge]; every name is this strategy's own."""
        return Alpha(normal=self._initial_cell(std, rng), reduce=self._initial_cell(std, rng))

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """What is left of the operations, times how far the edge is open."""
        gates = cell.arrays["edge_logits"].sigmoid()
        return gates[..., None] * masked_softmax(cell.arrays["op_logits"], cell.mask)

    def after_epoch(self, alpha: Alpha, mixtures: Mixtures, place: StagePlace, epoch: int) -> Alpha:
        """Every edge loses its weakest operation, until `fewest` are left; a mask that grew stays in later stages."""
        normal, reduce = (self._masked(*cell) for cell in zip(alpha.cells, mixtures, strict=True))
        return Alpha(normal=normal, reduce=reduce)

    def next_stage(self, survivors: Sequence[Alpha], place: StagePlace, rng: np.random.Generator) -> Sequence[Alpha]:
        """Masks and operations' logits go on, gates begin anew."""
        half_open = {"edge_logits": np.zeros(self.space.n_edges)}
        cells = [
            [CellAlpha(arrays={**cell.arrays, **half_open}, mask=cell.mask) for cell in each.cells]
            for each in survivors
        ]
        return [Alpha(normal=normal, reduce=reduce) for normal, reduce in cells]

    def _initial_cell(self, std: float, rng: np.random.Generator) -> CellAlpha:
        operations = std * rng.standard_normal((self.space.n_edges, self.space.n_primitives))
        return CellAlpha(arrays={"op_logits": operations, "edge_logits": std * rng.standard_normal(self.space.n_edges)})

    def _masked(self, cell: CellAlpha, mixture: np.ndarray) -> CellAlpha:
        mask = np.ones_like(mixture, dtype=bool) if cell.mask is None else cell.mask.copy()
        # A genotype takes any operation but `none`: that one is not counted, and not dropped.
        counted = mask & (np.array(self.space.primitives) != "none")
        for edge in np.flatnonzero(counted.sum(axis=1) > self.fewest):
            mask[edge, np.where(counted[edge], mixture[edge], np.inf).argmin()] = False
        return cell.model_copy(update={"mask": mask})
