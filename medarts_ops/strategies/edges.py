"""The edges that enter the same node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medarts_ops.space.search_space import N_INPUTS, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor


def softmax_by_node(logits: Tensor, space: SearchSpace) -> Tensor:
    """Softmax [individual, edge] over the edges that enter the same node, in the space's order of edges."""
    import torch

    sizes = [N_INPUTS + node for node in range(space.n_nodes)]
    return torch.cat([part.softmax(dim=-1) for part in logits.split(sizes, dim=-1)], dim=-1)
