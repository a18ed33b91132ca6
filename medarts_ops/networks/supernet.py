"""The supernet: every edge mixes all operations. It holds weights only; α comes in with each call as mixtures.

It computes what `bench/reference.py` spells out edge by edge, and equals it exactly (up to rounding), but takes
all edges that leave a state together (`state_edges.py`) on planes [channel, image, height, width] (`planes.py`), and
several individuals at once if asked: one is a stack of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from medarts_ops.networks.autocast import autocast_type, cast_together
from medarts_ops.networks.block_order import in_block_order
from medarts_ops.networks.layout import STEM_MULTIPLIER, CellPlace, SupernetSpec, cell_places
from medarts_ops.networks.planes import (
    MixNorm,
    PlaneNorm,
    Reductions,
    from_planes,
    shuffled,
    to_planes,
    uniform_weight,
)
from medarts_ops.networks.skip_dropout import SkipDropout, SkipFactors
from medarts_ops.networks.state_edges import EdgeWeights, StateEdges, read_together
from medarts_ops.settings import MATRIX_SIDE, StemKind
from medarts_ops.space.search_space import N_INPUTS


class StemConvolution(nn.Module):
    """3×3 convolution and a batch norm, which stems alone have affine (DARTS)."""

    def __init__(self, individuals: int, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.individuals, self.stride = individuals, stride
        shape = (individuals, out_channels, in_channels, 3, 3)
        self.weight = nn.Parameter(uniform_weight(shape, fan_in=in_channels * 9))
        self.scale = nn.Parameter(torch.ones(individuals, out_channels))
        self.shift = nn.Parameter(torch.zeros(individuals, out_channels))
        self.norm = PlaneNorm(individuals * out_channels)

    def normed(self, grouped: Tensor) -> Tensor:
        """[image, individual · channel, height, width] → planes, rows [individual, channel]."""
        weight = self.weight.flatten(0, 1)
        convolved = F.conv2d(grouped, weight, stride=self.stride, padding=1, groups=self.individuals)
        normed: Tensor = self.norm(to_planes(convolved), self.scale.flatten(), self.shift.flatten())
        return normed


class Stem(StemConvolution):
    """What is before the cells for images of CIFAR's size: one convolution of 3C channels."""

    def __init__(self, individuals: int, in_channels: int, channels: int) -> None:
        super().__init__(individuals, in_channels, STEM_MULTIPLIER * channels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[individual, image, channel, height, width] → both inputs of the first cell after their ReLU, one here."""
        activated = F.relu(self.normed(_grouped(images)))
        return activated, activated


class PhotoStem(nn.Module):
    """The stem `imagenet`: three convolutions of stride 2, of which the first cell reads the last two (DARTS)."""

    def __init__(self, individuals: int, in_channels: int, channels: int) -> None:
        super().__init__()
        self.at_half = StemConvolution(individuals, in_channels, channels // 2, stride=2)
        self.at_quarter = StemConvolution(individuals, channels // 2, channels, stride=2)
        self.at_eighth = StemConvolution(individuals, channels, channels, stride=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[individual, image, channel, height, width] → planes at a quarter and an eighth of the side, after ReLU."""
        half = F.relu(self.at_half.normed(_grouped(images)))
        quarter = F.relu(self.at_quarter.normed(from_planes(half)))
        return quarter, F.relu(self.at_eighth.normed(from_planes(quarter)))


STEMS: dict[StemKind, Callable[[int, int, int], Stem | PhotoStem]] = {"cifar": Stem, "imagenet": PhotoStem}


def _grouped(images: Tensor) -> Tensor:
    return images.transpose(0, 1).flatten(1, 2)


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

    def __init__(self, spec: SupernetSpec, place: CellPlace, individuals: int, matrix_side: int) -> None:
        super().__init__()
        self.index, self.reduction = place.index, place.reduction
        self.individuals, self.share = individuals, spec.channel_share
        self.preprocess0 = (
            Reductions(individuals, 1, place.before_previous_channels, place.channels)
            if place.previous_reduction
            else MixNorm(individuals, place.before_previous_channels, place.channels)
        )
        self.preprocess1 = MixNorm(individuals, place.previous_channels, place.channels)
        # The last node feeds no edge of its own cell.
        states = [StateEdges(spec, place, each, individuals, matrix_side) for each in read_together(spec, place)]
        self.n_readings = sum(each.states[0] < N_INPUTS for each in states)
        self.states, self.n_targets = nn.ModuleList(states), [each.n_targets for each in states]
        self.channels, self.scaled = states[0].channels, [each.scaled for each in states]
        by_part = zip(*(each.entries(spec.mask(place.reduction)) for each in states), strict=True)
        parts = [entries for of_states in by_part for entries in of_states]
        self.sizes = [sum(map(sum, self.scaled)), *(len(part) for part in parts[len(states) :])]
        self.entries: Tensor
        self.register_buffer("entries", torch.tensor([entry for part in parts for entry in part]), persistent=False)
        self.constants: Tensor
        self.register_buffer("constants", torch.tensor([[1.0], [0.0]]).repeat(1, individuals), persistent=False)

    def entries_of(self, mixture: Tensor) -> list[Tensor]:
        """Of `mixture [individual, edge, op]` what the states' edges need, [entry, individual]: whatever their width.

        First what scales a batch norm, of all states, then of each state what its edges share and what passes them by.
        """
        flat = mixture.flatten(1).t()
        sums = [mixture.sum(dim=2).t()] if self.share > 1 else []
        padded = torch.cat([flat, self.constants.to(flat.dtype), *sums])
        return _parts(padded.index_select(0, self.entries), self.sizes)

    def weights(self, scales: Tensor, *others: Tensor) -> list[EdgeWeights]:
        """What each state's edges need, of `entries_of` a mixture: the same for all cells of a kind and width."""
        sizes = [n * self.individuals * self.channels for of_state in self.scaled for n in of_state]
        left = iter(_parts(scales[:, :, None].expand(-1, -1, self.channels).reshape(-1), sizes))
        n_states = len(self.n_targets)
        by_target = [part.view(n, -1, self.individuals) for part, n in zip(others, 2 * self.n_targets, strict=True)]
        shared, passing = by_target[:n_states], by_target[n_states:]
        return [
            EdgeWeights([next(left) for _ in scaled], one.permute(2, 0, 1), other.permute(2, 0, 1))
            for scaled, one, other in zip(self.scaled, shared, passing, strict=True)
        ]

    def forward(
        self, before_previous: Tensor, previous: Tensor, by_state: Sequence[EdgeWeights], dropout: SkipFactors | None
    ) -> Tensor:
        """Two inputs after ReLU, rows [individual, channel] → rows [individual, node · channel] at the cell's size."""
        # A state's edges lead to all later nodes, in order: what each node has received so far is one block, and
        # after state i the first node in it is complete.
        received: list[Tensor] = []
        nodes: list[Tensor] = []
        inputs = [self.preprocess0(before_previous), self.preprocess1(previous)]
        for number, (edges, weights) in enumerate(zip(self.states, by_state, strict=True)):
            if number < self.n_readings:
                state = inputs[number] if self.n_readings > 1 else torch.cat(inputs)
            else:
                n = self.n_targets[number - 1]
                parts = [part.split([len(part) // n, len(part) // n * (n - 1)]) for part in received]
                state, received = shuffled([first for first, _ in parts], self.individuals), [rest for _, rest in parts]
                nodes.append(state)
            received = edges(state, weights, received, dropout)
        nodes.append(shuffled(received, self.individuals))
        by_node = torch.cat(nodes).view(len(nodes), self.individuals, -1, *nodes[0].shape[1:])
        return by_node.transpose(0, 1).flatten(0, 2)


def _parts(whole: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """`whole` split; empty parts are apart from it, so that no gradient is made up for them."""
    left = iter(whole.split([size for size in sizes if size]))
    return [next(left) if size else whole.detach()[:0] for size in sizes]


class Supernet(nn.Module):
    """Stem, cells and classifier of search networks (DARTS), one for each of `individuals`; only the stem is affine.

    Every parameter is [individual, …]. `matrix_side` is that of the largest maps whose depthwise convolutions are
    matrix products: the same numbers up to rounding.
    """

    def __init__(
        self,
        spec: SupernetSpec,
        *,
        cells: int,
        channels: int,
        n_classes: int,
        in_channels: int,
        stem: StemKind = "cifar",
        individuals: int = 1,
        matrix_side: int = MATRIX_SIDE,
    ) -> None:
        super().__init__()
        spec.check_channels(channels)
        n_nodes, self.n_sources = spec.space.n_nodes, spec.space.n_sources
        places = list(cell_places(cells, channels, (n_nodes, n_nodes), stem))
        self.stem = STEMS[stem](individuals, in_channels, channels)
        self.cells = nn.ModuleList(MixedCell(spec, place, individuals, matrix_side) for place in places)
        self.classifier = Classifier(individuals, places[-1].channels * n_nodes, n_classes)
        self._of_blocks = [
            name
            for name, weight in self.cells.named_parameters()
            if weight.shape[1] > 1 and ".factored." not in name  # which lie otherwise
        ]

    def forward(
        self, images: Tensor, normal_mixture: Tensor, reduce_mixture: Tensor, dropout: SkipDropout | None = None
    ) -> Tensor:
        """`images [individual, image, channel, height, width]` to logits [individual, image, class].

        Mixtures are [individual, edge, op]; dropout is of the identities, in training alone.
        """
        before_previous, previous = self.stem(images)
        own = self._for_this_pass()
        entries: dict[bool, list[Tensor]] = {}
        weights: dict[tuple[bool, int], list[EdgeWeights]] = {}
        dropped = dropout.of_network(len(self.cells), self.n_sources) if self.training and dropout else None
        for cell in self.cells:
            assert isinstance(cell, MixedCell)
            kind = (cell.reduction, cell.channels)
            if cell.reduction not in entries:
                entries[cell.reduction] = cell.entries_of(reduce_mixture if cell.reduction else normal_mixture)
            if kind not in weights:
                weights[kind] = cell.weights(*entries[cell.reduction])
            given = (before_previous, previous, weights[kind], dropped)
            output = functional_call(cell, own[cell.index], given, tie_weights=False) if own else cell(*given)
            before_previous, previous = previous, F.relu(output)
        logits: Tensor = self.classifier(output)
        return logits

    def _for_this_pass(self) -> list[dict[str, Tensor]]:
        """Of each cell the weights as this pass computes with them: in another type, or in the order of a stack.

        There are none where they are as they are kept: those of an individual alone in full precision.
        """
        stacked = len(self.classifier.weight) > 1
        wanted = autocast_type(self.classifier.weight.device)
        if not stacked and wanted is None:
            return []
        weights: dict[str, Tensor] = dict(self.cells.named_parameters())
        if wanted is not None:
            weights = cast_together(weights, wanted)
        if stacked:
            weights |= in_block_order({name: weights[name] for name in self._of_blocks})
        by_cell: list[dict[str, Tensor]] = [{} for _ in self.cells]
        for name, weight in weights.items():
            index, _, own = name.partition(".")
            by_cell[int(index)][own] = weight
        return by_cell

    def of_shared(self, images: Tensor, normal_mixture: Tensor, reduce_mixture: Tensor) -> Tensor:
        """The same of `images [image, channel, height, width]` that all individuals see."""
        logits: Tensor = self(images.expand(len(normal_mixture), *images.shape), normal_mixture, reduce_mixture)
        return logits

    def state_of(self, places: Sequence[int]) -> dict[str, Tensor]:
        """The state of a network of some of its individuals alone, in the order of `places`."""
        weights = dict(self.named_parameters())
        individuals = len(next(iter(weights.values())))
        found = {**self.state_dict(), **{name: weight.detach()[list(places)] for name, weight in weights.items()}}
        for name, module in self.named_modules():
            if isinstance(module, PlaneNorm):
                statistics = module.statistics_of(places, individuals)
                found |= {f"{name}.{statistic}": value for statistic, value in statistics.items()}
        return found


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
