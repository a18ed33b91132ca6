"""The evaluation network as the original DARTS runs it: a ReLU a reader, drop path in place, plain convolutions.

It ships as the oracle of `networks/derived.py` in tests and as its rival in measurements; evaluations never use it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medarts_ops.bench.reference import as_plain
from medarts_ops.networks.derived import DerivedCell, DerivedNetwork
from medarts_ops.space.genotype import EDGES_PER_NODE


class ReferenceDerivedNetwork(nn.Module):
    """A derived network's own modules, called as DARTS's `NetworkCIFAR` calls them.

    `network` is taken over: its depthwise convolutions and reductions are replaced by plain ones on the same weights.
    """

    def __init__(self, network: DerivedNetwork) -> None:
        super().__init__()
        self.network = network
        as_plain(network)

    def forward(
        self, images: Tensor, drop_probability: float = 0.0, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """As `DerivedNetwork.forward`; equal draws drop equal paths."""
        auxiliary: Tensor | None = None
        before_previous, previous = self.network.stem(images)
        for index, cell in enumerate(self.network.cells):
            assert isinstance(cell, DerivedCell)
            before_previous, previous = previous, _cell(cell, before_previous, previous, drop_probability, generator)
            if index == self.network.auxiliary_after and self.training:
                auxiliary = self.network.auxiliary_head(previous)
        return self.network.classifier(previous.mean(dim=(2, 3))), auxiliary


def _cell(
    cell: DerivedCell,
    before_previous: Tensor,
    previous: Tensor,
    probability: float,
    generator: torch.Generator | None,
) -> Tensor:
    states = [cell.preprocess0(before_previous), cell.preprocess1(previous)]
    for first in range(0, len(cell.operations), EDGES_PER_NODE):
        terms: list[Tensor] = []
        for position in range(first, first + EDGES_PER_NODE):
            operation = cell.operations[position]
            terms.append(operation(states[cell.sources[position]]))
            if probability > 0 and not isinstance(operation, nn.Identity):
                terms[-1] = _drop_path(terms[-1], probability, generator)
        states.append(terms[0] + terms[1])
    return torch.cat([states[state] for state in cell.concat], dim=1)


def _drop_path(images: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    keep = 1.0 - probability
    kept = torch.rand((images.shape[0], 1, 1, 1), device=images.device, generator=generator) < keep
    return images.div_(keep).mul_(kept)
