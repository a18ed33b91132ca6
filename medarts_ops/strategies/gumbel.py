"""Strategies that draw one operation of each edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medarts_ops.strategies.strategy import Strategy

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class DrawsGumbel(Strategy):
    """Noise is a Gumbel draw for each operation of each edge, one for all cells of a kind.

    The largest of log p + Gumbel is drawn with the probabilities p.
    """

    draws_noise = True

    def noise(self, generator: torch.Generator) -> Tensor:
        from medarts_ops.strategies.draws import gumbel

        return gumbel((self.space.n_edges, self.space.n_primitives), generator)
