"""The plain supernet: one module per edge and operation, as the original DARTS writes it.

It ships as the oracle of `networks/supernet.py` in tests and as its rival in measurements; searches never use it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medarts_ops.networks.depthwise import DepthwiseConv2d
from medarts_ops.networks.ends import STEMS
from medarts_ops.networks.layout import CellPlace, SupernetSpec, cell_places
from medarts_ops.networks.operations import OPERATION_TABLE, FactorizedReduce, Pool, ReluConvNorm
from medarts_ops.networks.skip_dropout import SkipDropout, SkipFactors
from medarts_ops.settings import StemKind
from medarts_ops.space.search_space import N_INPUTS


class PlainReduce(FactorizedReduce):
    """`FactorizedReduce` as the original trains it, by strided convolutions; the modules of the one given are its."""

    def __init__(self, ours: FactorizedReduce) -> None:
        nn.Module.__init__(self)
        self.straight, self.shifted, self.norm = ours.straight, ours.shifted, ours.norm

    def halves(self, activated: Tensor) -> tuple[Tensor, Tensor]:
        return self.strided_halves(activated)


def as_plain(module: nn.Module) -> nn.Module:
    """`module` as torch alone computes it, on the same weights: itself, with other parts, or another in its place."""
    if isinstance(module, FactorizedReduce):
        return PlainReduce(module)
    if isinstance(module, DepthwiseConv2d):
        n, shape = module.in_channels, (module.kernel_size, module.stride, module.padding, module.dilation)
        # On the meta device it draws no random numbers for weights that are dropped.
        convolution = nn.Conv2d(n, n, *shape, groups=n, bias=False, device="meta")  # type: ignore[arg-type]
        convolution.weight = module.weight
        return convolution
    for name, child in module.named_children():
        setattr(module, name, as_plain(child))
    return module


class ReferenceMixedOperation(nn.Module):
    """One edge: the weighted sum of its operations, each pool followed by a batch norm (DARTS).

    With a `share` above 1 operations see the first of so many parts of the channels (PC-DARTS, section 3.2).
    """

    def __init__(self, primitives: tuple[str, ...], mask: list[bool], channels: int, stride: int, share: int) -> None:
        super().__init__()
        self.columns = [column for column, present in enumerate(mask) if present]
        self.share, self.n_seen = share, channels // share
        self.bypass = nn.MaxPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.operations = nn.ModuleList()
        for column in self.columns:
            known = OPERATION_TABLE[primitives[column]]
            operation = as_plain(known.derived(self.n_seen, stride, affine=False))
            if isinstance(known, Pool):
                operation = nn.Sequential(operation, nn.BatchNorm2d(self.n_seen, affine=False))
            self.operations.append(operation)

    def forward(self, images: Tensor, weights: Tensor, factors: Tensor | None) -> Tensor:
        """`weights [op]` over all primitives, those that the edge lacks included; identities times `factors`."""
        seen = images if self.share == 1 else images[:, : self.n_seen]
        terms = [
            weights[c] * (seen * factors if factors is not None and isinstance(op, nn.Identity) else op(seen))
            for c, op in zip(self.columns, self.operations, strict=True)
        ]
        mixed = torch.stack(terms).sum(dim=0)
        if self.share == 1:
            return mixed
        parts = torch.cat([mixed, weights.sum() * self.bypass(images[:, self.n_seen :])], dim=1)
        shuffled: Tensor = parts.unflatten(1, (self.share, -1)).transpose(1, 2).flatten(1, 2)
        return shuffled


class ReferenceCell(nn.Module):
    """A cell, edge by edge."""

    def __init__(self, spec: SupernetSpec, place: CellPlace) -> None:
        super().__init__()
        self.index, self.reduction = place.index, place.reduction
        self.n_seen = place.channels // spec.channel_share
        self.space_edges = spec.space.edges
        self.n_nodes = spec.space.n_nodes
        preprocess = FactorizedReduce if place.previous_reduction else ReluConvNorm
        self.preprocess0 = as_plain(preprocess(place.before_previous_channels, place.channels, affine=False))
        self.preprocess1 = ReluConvNorm(place.previous_channels, place.channels, affine=False)
        mask = spec.mask(place.reduction)
        self.edges = nn.ModuleList(
            ReferenceMixedOperation(
                spec.space.primitives,
                mask[row].tolist(),
                place.channels,
                2 if place.reduction and source < N_INPUTS else 1,
                spec.channel_share,
            )
            for row, (source, _) in enumerate(spec.space.edges)
        )

    def forward(
        self, before_previous: Tensor, previous: Tensor, mixture: Tensor, dropout: SkipFactors | None
    ) -> Tensor:
        """Two inputs and `mixture [edge, op]` → [image, node · channel, height, width]."""
        states = [self.preprocess0(before_previous), self.preprocess1(previous)]
        for node in range(N_INPUTS, N_INPUTS + self.n_nodes):
            incoming = []
            for row, (source, target) in enumerate(self.space_edges):
                if target == node:
                    state, factors = states[source], None
                    if dropout is not None:
                        seen = state[:, : self.n_seen].transpose(0, 1)
                        factors = dropout.factors(self.index, source, seen).transpose(0, 1)
                    incoming.append(self.edges[row](state, mixture[row], factors))
            states.append(torch.stack(incoming).sum(dim=0))
        return torch.cat(states[N_INPUTS:], dim=1)


class ReferenceSupernet(nn.Module):
    """The original DARTS search network, with the mixtures as arguments."""

    def __init__(
        self,
        spec: SupernetSpec,
        *,
        cells: int,
        channels: int,
        n_classes: int,
        in_channels: int,
        stem: StemKind = "cifar",
    ) -> None:
        super().__init__()
        spec.check_channels(channels)
        self.stem = STEMS[stem](in_channels, channels)
        n_nodes, self.n_sources = spec.space.n_nodes, spec.space.n_sources
        places = list(cell_places(cells, channels, (n_nodes, n_nodes), stem))
        self.cells = nn.ModuleList(ReferenceCell(spec, place) for place in places)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(places[-1].channels * n_nodes, n_classes)

    def forward(
        self, images: Tensor, normal_mixture: Tensor, reduce_mixture: Tensor, dropout: SkipDropout | None = None
    ) -> Tensor:
        """`images [image, channel, height, width]` and two mixtures [edge, op] → logits [image, class]."""
        before_previous, previous = self.stem(images)
        dropped = dropout.of_network(len(self.cells), self.n_sources) if self.training and dropout else None
        for cell in self.cells:
            mixture = reduce_mixture if cell.reduction else normal_mixture
            output = cell(before_previous, previous, mixture, dropped)
            before_previous, previous = previous, output
        logits: Tensor = self.classifier(self.pool(previous).flatten(1))
        return logits


class StackOfOne(nn.Module):
    """A plain supernet with the axis of individuals in front of everything, as strategies expect it."""

    def __init__(self, plain: ReferenceSupernet) -> None:
        super().__init__()
        self._names = [name for name, _ in plain.named_parameters()]
        self.weights = nn.ParameterList(nn.Parameter(weight.detach()[None]) for weight in plain.parameters())
        # In a tuple, so that its own parameters are not this module's, too.
        self._plain = (plain,)

    def forward(
        self, images: Tensor, normal_mixture: Tensor, reduce_mixture: Tensor, dropout: SkipDropout | None = None
    ) -> Tensor:
        """`images [1, image, channel, height, width]`, mixtures [1, edge, op] → logits [1, image, class]."""
        weights = {name: weight.squeeze(0) for name, weight in zip(self._names, self.weights, strict=True)}
        arguments = (images[0], normal_mixture[0], reduce_mixture[0], dropout)
        logits: Tensor = functional_call(self._plain[0], weights, arguments)
        return logits[None]
