"""SmoothDARTS with random smoothing (Chen & Hsieh 2020, SDARTS-RS): w learns to do well around the mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.strategy import Strategy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import Moment


class SmoothDartsSettings(DartsSettings):
    """SDARTS-RS (Chen & Hsieh, 2020): the step of w sees the mixture with random changes, which grow."""

    smoothing_first: float = setting(
        0.03, "publication", "largest change of a weight at the search's beginning", ge=0, le=1
    )
    smoothing_last: float = setting(0.3, "publication", "largest change of a weight at its end", ge=0, le=1)

    def build(self, space: SearchSpace) -> Strategy:
        return SmoothDarts(space, self)


@dataclass(frozen=True)
class SmoothDarts(Darts):
    """DARTS whose w step takes θ + U(-ε, ε), within 0…1, each row again of sum 1."""

    settings: SmoothDartsSettings = SmoothDartsSettings()

    draws_noise = True

    def noise(self, generator: torch.Generator) -> Tensor:
        """U(-1, 1) for each operation of each edge."""
        import torch

        return 2 * torch.rand(self.space.n_edges, self.space.n_primitives, generator=generator) - 1

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """DARTS's, smoothed in the step of w alone; ε grows over the whole search, not in each stage anew (ours)."""
        import torch

        from medarts_ops.strategies.draws import drawn_operation, linear

        plain = super().mixture(cell, moment)
        if moment.phase != "weights" or cell.noise is None:
            return plain
        reach = linear(self.settings.smoothing_first, self.settings.smoothing_last, moment.progress)
        moved = torch.where(cell.mask, (plain + reach * cell.noise).clamp(0, 1), 0.0)
        sums = moved.sum(dim=-1, keepdim=True)
        strongest = drawn_operation(cell.arrays["op_logits"], cell.mask, None)
        smoothed = torch.where(sums > 0, moved / sums.clamp_min(torch.finfo(sums.dtype).tiny), strongest)
        return torch.where(reach > 0, smoothed, plain)
