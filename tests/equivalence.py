"""Carry the reference supernet's weights into the supernet, and the supernet's results back edge by edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from medarts_ops.bench.reference import ReferenceCell, ReferenceSupernet
from medarts_ops.networks.state_edges import StateEdges
from medarts_ops.networks.supernet import MixedCell, Supernet

Pairs = Iterator[tuple[Tensor, list[Tensor]]]
"""A tensor of the supernet with those of the reference whose concatenation it is."""


def parameter_pairs(supernet: Supernet, reference: ReferenceSupernet, field: Callable[[nn.Module], Tensor]) -> Pairs:
    """`field` picks a module's tensor, for example its weight or its running mean."""
    yield from _plain(supernet.stem, reference.stem, field)
    yield from _plain(supernet.classifier, reference.classifier, field)
    for cell, plain in zip(supernet.cells, reference.cells, strict=True):
        assert isinstance(cell, MixedCell) and isinstance(plain, ReferenceCell)
        yield from _plain(cell.preprocess0, plain.preprocess0, field)
        yield from _plain(cell.preprocess1, plain.preprocess1, field)
        for rows, state in zip(cell.edge_rows, cell.states, strict=True):
            assert isinstance(state, StateEdges)
            yield from _state(state, [plain.edges[row] for row in rows], field)


def _plain(ours: nn.Module, theirs: nn.Module, field: Callable[[nn.Module], Tensor]) -> Pairs:
    for left, right in zip(ours.modules(), theirs.modules(), strict=True):
        if not list(left.children()):
            try:
                yield field(left), [field(right)]
            except AttributeError:
                continue


def _operation(edge: nn.Module, column: int) -> nn.Module:
    return edge.operations[edge.columns.index(column)]


def _state(state: StateEdges, edges: list[nn.Module], field: Callable[[nn.Module], Tensor]) -> Pairs:
    plain = [_operation(edges[e], c) for e, c in zip(state.branch_edges, state.branch_columns, strict=True)]
    once = [module for module in plain if len(module) == 4]
    twice = [module for module in plain if len(module) == 8]
    groups: list[tuple[nn.Module, list[nn.Module]]] = []
    if state.branches:
        ours = state.convolutions
        position = 0
        for count, convolution in zip(ours.counts, ours.depthwise.convolutions, strict=True):
            groups.append((convolution, [module[1] for module in plain[position : position + count]]))
            position += count
        groups.append((ours.pointwise, [module[2] for module in plain]))
        if twice:
            groups.append((ours.middle_norm, [module[3] for module in twice]))
            position = 0
            for width, convolution in zip(
                ours.second_depthwise.widths, ours.second_depthwise.convolutions, strict=True
            ):
                count = width // state.channels
                groups.append((convolution, [module[5] for module in twice[position : position + count]]))
                position += count
            groups.append((ours.second_pointwise, [module[6] for module in twice]))
            groups.append((ours.twice_norm, [module[7] for module in twice]))
        if once:
            groups.append((ours.once_norm, [module[3] for module in once]))
    for column, pool in zip(state.pool_columns, state.pools, strict=True):
        # One batch norm for all edges: each of the reference's equals it.
        for edge in edges:
            if column in edge.columns:
                groups.append((pool[1], [_operation(edge, column)[1]]))
    if state.stride == 2 and state.skip_edges:
        skips = [_operation(edges[e], state.skip_column) for e in state.skip_edges]
        groups.append((state.skips.straight, [skip.straight for skip in skips]))
        groups.append((state.skips.shifted, [skip.shifted for skip in skips]))
        groups.append((state.skips.norm, [skip.norm for skip in skips]))
    for ours_module, theirs_modules in groups:
        try:
            tensors = [field(module) for module in theirs_modules]
        except AttributeError:
            continue
        if tensors[0] is not None:
            yield field(ours_module), tensors


def copy_weights(supernet: Supernet, reference: ReferenceSupernet) -> None:
    """Give the supernet the reference's weights."""
    with torch.no_grad():
        for name in ("weight", "bias"):
            for ours, theirs in parameter_pairs(supernet, reference, lambda module, name=name: getattr(module, name)):
                if ours is not None:
                    ours.copy_(torch.cat(theirs))
