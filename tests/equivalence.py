"""Carry the reference supernet's weights into the supernet, and the supernet's results back edge by edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from medarts_ops.bench.reference import ReferenceCell, ReferenceSupernet
from medarts_ops.networks.ends import CifarStem, ImagenetStem
from medarts_ops.networks.planes import Reductions
from medarts_ops.networks.state_edges import StateEdges
from medarts_ops.networks.supernet import MixedCell, PhotoStem, Stem, StemConvolution, Supernet

Pairs = Iterator[tuple[Tensor, Tensor]]
"""A tensor of the supernet with the reference's, concatenated and in the same shape."""


def parameter_pairs(supernet: Supernet, reference: ReferenceSupernet, field: Callable[[nn.Module], Tensor]) -> Pairs:
    """`field` picks a module's tensor, for example its weight or its running mean. The supernet has one individual."""
    for ours, convolution, norm in _stem_convolutions(supernet.stem, reference.stem):
        yield from _fields([(ours, [convolution]), (ours.norm, [norm])], field)
        yield from _fields([(_Affine(ours.scale, ours.shift), [_Affine(norm.weight, norm.bias)])], field)
    yield from _fields([(supernet.classifier, [reference.classifier])], field)
    for cell, plain in zip(supernet.cells, reference.cells, strict=True):
        assert isinstance(cell, MixedCell) and isinstance(plain, ReferenceCell)
        yield from _fields(_reduction_or_mix(cell.preprocess0, plain.preprocess0), field)
        yield from _fields(_reduction_or_mix(cell.preprocess1, plain.preprocess1), field)
        for state in cell.states:
            assert isinstance(state, StateEdges)
            yield from _fields(_state(state, [plain.edges[row] for row in state.rows]), field)


def _stem_convolutions(
    ours: Stem | PhotoStem, theirs: CifarStem | ImagenetStem
) -> list[tuple[StemConvolution, nn.Module, nn.Module]]:
    if isinstance(theirs, CifarStem):
        assert isinstance(ours, Stem)
        return [(ours, *theirs)]
    assert isinstance(ours, PhotoStem)
    half, half_norm, _, quarter, quarter_norm = theirs.quarter
    return [(ours.at_half, half, half_norm), (ours.at_quarter, quarter, quarter_norm), (ours.at_eighth, *theirs.eighth)]


class _Affine(nn.Module):
    """Scale and shift of a batch norm under the names that it has elsewhere."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias


def _reduction_or_mix(ours: nn.Module, theirs: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
    if isinstance(ours, Reductions):
        return [*_halves(ours, [theirs]), (ours.norm, [theirs.norm])]
    return [(ours.mix, [theirs[1]]), (ours.norm, [theirs[2]])]


def _halves(ours: Reductions, theirs: list[nn.Module]) -> list[tuple[nn.Module, list[nn.Module]]]:
    halves = [[getattr(each, name) for each in theirs] for name in ("straight", "shifted")]
    of_each = halves if len(ours.halves) > 1 else [sum(halves, [])]
    return list(zip(ours.halves, of_each, strict=True))


def _operation(edge: nn.Module, column: int) -> nn.Module:
    return edge.operations[edge.columns.index(column)]


def _state(state: StateEdges, edges: list[nn.Module]) -> list[tuple[nn.Module, list[nn.Module]]]:
    groups: list[tuple[nn.Module, list[nn.Module]]] = []
    blocks = [_operation(edges[edge], column) for edge, column in state.blocks]
    n_branches, n_twice, n_reduced, *n_factored = state.scaled
    branches, twice, skips = blocks[:n_branches], blocks[:n_twice], blocks[n_branches : n_branches + n_reduced]
    if state.branches is not None:
        halves = state.branches
        groups += _kernels(halves.first.depthwise, [branch[1] for branch in branches])
        groups.append((halves.first.pointwise, [branch[2] for branch in branches]))
        groups.append((halves.norm, [branch[3] for branch in branches]))
        if halves.second is not None:
            groups += _kernels(halves.second.depthwise, [branch[5] for branch in twice])
            groups.append((halves.second.pointwise, [branch[6] for branch in twice]))
            groups.append((halves.last_norm, [branch[7] for branch in twice]))
    if state.pool_norm is not None:
        # One batch norm for all edges: each of the reference's equals it.
        n, columns = len(state.states), state.shared_columns[: len(state.pools)]
        each_state = [(column, edges[first::n]) for column in columns for first in range(n)]
        having = [[edge for edge in of_state if column in edge.columns] for column, of_state in each_state]
        columns = [column for column, _ in each_state]
        for each in zip(*having, strict=False):
            norms = [_operation(edge, column)[1] for edge, column in zip(each, columns, strict=True)]
            groups.append((state.pool_norm, norms))
    if state.reductions is not None:
        by_state = [skip for first in range(len(state.states)) for skip in skips[first :: len(state.states)]]
        groups += [*_halves(state.reductions, by_state), (state.reductions.norm, [skip.norm for skip in skips])]
    position = n_branches + n_reduced
    for fused, count in zip(state.factored, n_factored, strict=True):
        having_it = blocks[position : position + count]
        groups += [(_Kernel(fused.wide), [block[1] for block in having_it])]
        groups += [(_Kernel(fused.high), [block[2] for block in having_it])]
        groups += [(fused.norm, [block[3] for block in having_it])]
        position += count
    return groups


class _Kernel(nn.Module):
    """One parameter of a list as a module with a weight."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight


def _kernels(weights: nn.ParameterList, convolutions: list[nn.Module]) -> list[tuple[nn.Module, list[nn.Module]]]:
    groups: list[tuple[nn.Module, list[nn.Module]]] = []
    position = 0
    for weight in weights:
        count = weight.shape[1]
        groups.append((_Kernel(weight), convolutions[position : position + count]))
        position += count
    return groups


def _fields(groups: list[tuple[nn.Module, list[nn.Module]]], field: Callable[[nn.Module], Tensor]) -> Pairs:
    for ours, theirs in groups:
        try:
            mine, tensors = field(ours), [field(module) for module in theirs]
        except AttributeError:
            continue
        if mine is not None:
            yield mine, torch.cat(tensors).view_as(mine)


def copy_weights(supernet: Supernet, reference: ReferenceSupernet) -> None:
    """Give the supernet the reference's weights."""
    with torch.no_grad():
        for name in ("weight", "bias"):
            for ours, theirs in parameter_pairs(supernet, reference, lambda module, name=name: getattr(module, name)):
                ours.copy_(theirs)
