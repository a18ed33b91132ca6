"""The supernet: every edge mixes all operations. It holds weights only; α comes in with each call as mixtures.

It computes what `bench/reference.py` spells out edge by edge, and equals it exactly (up to rounding), but takes
all edges that leave a state together (`state_edges.py`) on planes [channel, image, height, width] (`planes.py`), and
several individuals at once if asked: one is a stack of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from medarts_ops.networks.layout import STEM_MULTIPLIER, CellPlace, SupernetSpec, cell_places
from medarts_ops.networks.planes import MixNorm, PlaneNorm, Reductions, to_planes, uniform_weight
from medarts_ops.networks.state_edges import EdgeWeights, StateEdges
from medarts_ops.space.search_space import N_INPUTS


class Stem(nn.Module):
    """3×3 convolution and the supernet's only affine batch norm (DARTS)."""

    def __init__(self, individuals: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        shape = (individuals, out_channels, in_channels, 3, 3)
        self.weight = nn.Parameter(uniform_weight(shape, fan_in=in_channels * 9))
        self.scale = nn.Parameter(torch.ones(individuals, out_channels))
        self.shift = nn.Parameter(torch.zeros(individuals, out_channels))
        self.norm = PlaneNorm(individuals * out_channels)

    def forward(self, images: Tensor) -> Tensor:
        """[individual, image, channel, height, width] → planes, rows [individual, channel]."""
        side_by_side = images.transpose(0, 1).flatten(1, 2)
        convolved = F.conv2d(side_by_side, self.weight.flatten(0, 1), padding=1, groups=len(images))
        normed: Tensor = self.norm(to_planes(convolved), self.scale.flatten(), self.shift.flatten())
        return normed


class Classifier(nn.Module):
    """Global average pooling, and a linear layer that starts as `nn.Linear` does."""

    def __init__(self, individuals: int, channels: int, n_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(uniform_weight((individuals, n_classes, channels), fan_in=channels))
        self.bias = nn.Parameter(uniform_weight((individuals, n_classes), fan_in=channels))

    def forward(self, planes: Tensor) -> Tensor:
        """Rows [individual, channel], each [image, height, width] → logits [individual, image, class]."""
        features = planes.mean(dim=(2, 3)).view(len(self.weight), -1, planes.shape[1])
        return torch.baddbmm(self.bias[:, None], features.transpose(1, 2), self.weight.transpose(1, 2))


class MixedCell(nn.Module):
    """A cell whose edges mix operations; a node sums its edges, the output concatenates the nodes (Eq. 1, 2)."""

    def __init__(self, spec: SupernetSpec, place: CellPlace, individuals: int) -> None:
        super().__init__()
        self.reduction, self.individuals = place.reduction, individuals
        self.channels = place.channels
        self.preprocess0 = (
            Reductions(individuals, 1, place.before_previous_channels, place.channels)
            if place.previous_reduction
            else MixNorm(individuals, place.before_previous_channels, place.channels)
        )
        self.preprocess1 = MixNorm(individuals, place.previous_channels, place.channels)
        mask = spec.mask(place.reduction)
        self.states = nn.ModuleList()
        self.edge_rows: list[list[int]] = []
        # The last node feeds no edge of its own cell.
        for state in range(N_INPUTS + spec.space.n_nodes - 1):
            rows = [row for row, (source, _) in enumerate(spec.space.edges) if source == state]
            stride = 2 if place.reduction and state < N_INPUTS else 1
            edges = StateEdges(individuals, spec.space.primitives, mask[rows], place.channels, stride)
            self.states.append(edges)
            self.edge_rows.append(rows)
        self.entries: Tensor
        entries, self.sizes = self._entries(mask)
        self.register_buffer("entries", torch.tensor(entries), persistent=False)

    def _entries(self, mask: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
        """Where `weights` finds what each state wants in the flat mixture, behind which stand a 1 and a 0; how many."""
        one, zero = mask.size, mask.size + 1
        entries: list[int] = []
        sizes: list[int] = []
        for edges, rows in zip(self.states, self.edge_rows, strict=True):
            assert isinstance(edges, StateEdges)
            of_scale = edges.scale_entries()
            entries += [one if entry is None else rows[entry[0]] * mask.shape[1] + entry[1] for entry in of_scale]
            # An operation that an edge lacks must not reach it through what the edges share.
            columns = edges.shared_columns
            entries += [
                row * mask.shape[1] + column if mask[row, column] else zero for row in rows for column in columns
            ]
            sizes += [len(of_scale), len(rows) * len(columns)]
        return entries, sizes

    def weights(self, mixture: Tensor) -> list[EdgeWeights]:
        """What each state's edges need of `mixture [individual, edge, op]`; the same for every cell of a kind."""
        flat = mixture.flatten(1).t()
        padded = torch.cat([flat, torch.ones_like(flat[:1]), torch.zeros_like(flat[:1])])
        parts = padded.index_select(0, self.entries).split(self.sizes)
        return [
            EdgeWeights(scale, shared.view(len(rows), -1, len(mixture)).permute(2, 0, 1))
            for scale, shared, rows in zip(parts[::2], parts[1::2], self.edge_rows, strict=True)
        ]

    def forward(self, before_previous: Tensor, previous: Tensor, by_state: Sequence[EdgeWeights]) -> Tensor:
        """Two inputs after ReLU, rows [individual, channel] → rows [individual, node · channel] at the cell's size."""
        # A state's edges lead to all later nodes, in order: what each node has received so far is one block, and
        # after state i the first node in it is complete.
        received = self.states[0](self.preprocess0(before_previous), by_state[0], None)
        received = self.states[1](self.preprocess1(previous), by_state[1], received)
        nodes: list[Tensor] = []
        rows = self.individuals * self.channels
        for edges, weights in zip(self.states[N_INPUTS:], by_state[N_INPUTS:], strict=True):
            node, rest = received.split([rows, len(received) - rows])
            received = edges(node, weights, rest)
            nodes.append(node)
        by_individual = [node.view(self.individuals, self.channels, *node.shape[1:]) for node in [*nodes, received]]
        return torch.cat(by_individual, dim=1).flatten(0, 1)


class Supernet(nn.Module):
    """Stem, cells and classifier of search networks (DARTS), one for each of `individuals`; only the stem is affine.

    Every parameter is [individual, …].
    """

    def __init__(
        self,
        spec: SupernetSpec,
        *,
        cells: int,
        channels: int,
        n_classes: int,
        in_channels: int,
        individuals: int = 1,
    ) -> None:
        super().__init__()
        n_nodes = spec.space.n_nodes
        places = list(cell_places(cells, channels, (n_nodes, n_nodes)))
        self.stem = Stem(individuals, in_channels, STEM_MULTIPLIER * channels)
        self.cells = nn.ModuleList(MixedCell(spec, place, individuals) for place in places)
        self.classifier = Classifier(individuals, places[-1].channels * n_nodes, n_classes)

    def forward(self, images: Tensor, normal_mixture: Tensor, reduce_mixture: Tensor) -> Tensor:
        """One batch an individual.

        Args:
            images: [individual, image, channel, height, width].
            normal_mixture: [individual, edge, op].
            reduce_mixture: likewise.

        Returns:
            Logits [individual, image, class].
        """
        output = self.stem(images)
        before_previous = previous = F.relu(output)
        weights: dict[bool, list[EdgeWeights]] = {}
        for cell in self.cells:
            assert isinstance(cell, MixedCell)
            if cell.reduction not in weights:
                weights[cell.reduction] = cell.weights(reduce_mixture if cell.reduction else normal_mixture)
            output = cell(before_previous, previous, weights[cell.reduction])
            before_previous, previous = previous, F.relu(output)
        logits: Tensor = self.classifier(output)
        return logits


@torch.no_grad()
def stack_supernets(build: Callable[[int], Supernet], singles: Sequence[Supernet]) -> Supernet:
    """Several fresh supernets as one: `build(n)` makes one of `n` individuals, whose weights are then theirs."""
    if len(singles) == 1:
        return singles[0]
    stacked = build(len(singles))
    weights = [dict(single.named_parameters()) for single in singles]
    for name, parameter in stacked.named_parameters():
        parameter.copy_(torch.cat([each[name] for each in weights]))
    return stacked
