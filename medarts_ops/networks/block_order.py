"""Weights of several individuals in the order in which planes have their channels: [block, individual], for a pass.

Weights are kept [individual, block], so that an individual's part of one is contiguous. Turned one by one, they would
take a launch each, and as many for their gradients: here all of one size take one. Where there is one individual both
orders are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medarts_ops.networks.same_weights import from_weights

Weights = Mapping[str, Tensor]


def in_block_order(weights: Weights) -> dict[str, Tensor]:
    """The same weights, [individual, block, …], whose memory is in the order of blocks: `by_block` is a view of them.

    Gradients come back with each individual's part contiguous.
    """
    alike: dict[int, list[str]] = {}
    for name, weight in weights.items():
        alike.setdefault(weight[0, 0].numel(), []).append(name)
    found: dict[str, Tensor] = {}
    for names in alike.values():
        found |= zip(names, _BlockOrder.apply(*(weights[name] for name in names)), strict=True)
    return found


class _BlockOrder(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        context.shapes = [weight.shape for weight in weights]
        blocks = [shape[1] for shape in context.shapes]
        ordered = from_weights(
            "block order", weights, lambda: torch.cat([weight.flatten(2).transpose(0, 1) for weight in weights])
        )
        pairs = zip(ordered.split(blocks), context.shapes, strict=True)
        return tuple(part.transpose(0, 1).unflatten(2, shape[2:]) for part, shape in pairs)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        blocks = [shape[1] for shape in context.shapes]
        kept = torch.cat([gradient.flatten(2) for gradient in gradients], dim=1).split(blocks, dim=1)
        return tuple(part.unflatten(2, shape[2:]) for part, shape in zip(kept, context.shapes, strict=True))
