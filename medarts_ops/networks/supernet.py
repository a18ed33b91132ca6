"""The supernet: every edge mixes all operations. It holds weights only; α comes in with each call as mixtures.

It computes what `bench/reference.py` spells out edge by edge, and equals it exactly (up to rounding), but takes
all edges that leave a state together (`state_edges.py`) on planes [channel, image, height, width] (`planes.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medarts_ops.networks.layout import STEM_MULTIPLIER, CellPlace, SupernetSpec, cell_places
from medarts_ops.networks.planes import Reductions, ReluMixNorm, to_planes
from medarts_ops.networks.state_edges import EdgeWeights, StateEdges
from medarts_ops.space.search_space import N_INPUTS


class MixedCell(nn.Module):
    """A cell whose edges mix operations; a node sums its edges, the output concatenates the nodes (Eq. 1, 2)."""

    def __init__(self, spec: SupernetSpec, place: CellPlace) -> None:
        super().__init__()
        self.reduction = place.reduction
        self.n_nodes, self.channels = spec.space.n_nodes, place.channels
        self.preprocess0 = (
            Reductions(1, place.before_previous_channels, place.channels)
            if place.previous_reduction
            else ReluMixNorm(place.before_previous_channels, place.channels)
        )
        self.preprocess1 = ReluMixNorm(place.previous_channels, place.channels)
        mask = spec.mask(place.reduction)
        self.states = nn.ModuleList()
        self.edge_rows: list[list[int]] = []
        # The last node feeds no edge of its own cell.
        for state in range(N_INPUTS + self.n_nodes - 1):
            rows = [row for row, (source, _) in enumerate(spec.space.edges) if source == state]
            stride = 2 if place.reduction and state < N_INPUTS else 1
            self.states.append(StateEdges(spec.space.primitives, mask[rows], place.channels, stride))
            self.edge_rows.append(rows)

    def weights(self, mixture: Tensor) -> list[EdgeWeights]:
        """What each state's edges need of `mixture [edge, op]`; the same for every cell of a kind."""
        by_state: list[EdgeWeights] = []
        for edges, rows in zip(self.states, self.edge_rows, strict=True):
            assert isinstance(edges, StateEdges)
            by_state.append(edges.weights(mixture[rows]))
        return by_state

    def forward(self, before_previous: Tensor, previous: Tensor, by_state: list[EdgeWeights]) -> Tensor:
        """Two inputs [channel, image, height, width] → [node · channel, image, out height, out width]."""
        # A state's edges lead to all later nodes, in order: what each node has received so far is one block, and
        # after state i the first node in it is complete.
        received = self.states[0](self.preprocess0(before_previous), by_state[0])
        received = received + self.states[1](self.preprocess1(previous), by_state[1])
        nodes: list[Tensor] = []
        for edges, weights in zip(self.states[N_INPUTS:], by_state[N_INPUTS:], strict=True):
            node, rest = received.split([self.channels, len(received) - self.channels])
            received = rest + edges(node, weights)
            nodes.append(node)
        return torch.cat([*nodes, received])


class Supernet(nn.Module):
    """Stem, cells and classifier of a search network (DARTS). Only the stem's batch norm is affine."""

    def __init__(self, spec: SupernetSpec, *, cells: int, channels: int, n_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, STEM_MULTIPLIER * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(STEM_MULTIPLIER * channels),
        )
        n_nodes = spec.space.n_nodes
        places = list(cell_places(cells, channels, (n_nodes, n_nodes)))
        self.cells = nn.ModuleList(MixedCell(spec, place) for place in places)
        self.classifier = nn.Linear(places[-1].channels * n_nodes, n_classes)

    def forward(self, images: Tensor, normal_mixture: Tensor, reduce_mixture: Tensor) -> Tensor:
        """`images [image, channel, height, width]` and two mixtures [edge, op] → logits [image, class]."""
        before_previous = previous = to_planes(self.stem(images))
        weights: dict[bool, list[EdgeWeights]] = {}
        for cell in self.cells:
            assert isinstance(cell, MixedCell)
            if cell.reduction not in weights:
                weights[cell.reduction] = cell.weights(reduce_mixture if cell.reduction else normal_mixture)
            before_previous, previous = previous, cell(before_previous, previous, weights[cell.reduction])
        logits: Tensor = self.classifier(previous.mean(dim=(2, 3)).t())
        return logits
