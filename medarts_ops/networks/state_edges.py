"""All operations on the edges that leave a state of a cell, or both of its inputs, computed together.

The edges share their input, so one ReLU serves them all, each pool and its batch norm is computed once (it has
no weights, so it is the same function on every edge), and convolutions run together (`branches.py`). `none` is zero:
its mixture weight stays in the softmax and nothing is computed. Both inputs of a cell are there from the beginning:
where their edges have the same operations, what is computed for one is computed for both. All of it is exact.

With partial channels (PC-DARTS, section 3.2) operations see the first channels of a state; the others pass them by,
once for all edges, and are weighed by the sums of the edges' rows of the mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from medarts_ops.networks.autocast import autocast_type, in_autocast_type, without_autocast
from medarts_ops.networks.branches import FactoredBranches, SeparableBranches
from medarts_ops.networks.device_kind import on_cpu
from medarts_ops.networks.layout import CellPlace, SupernetSpec
from medarts_ops.networks.operations import OPERATION_TABLE, Factored, Operation, Pool, Separable, Skip
from medarts_ops.networks.planes import PlaneNorm, Reductions, from_planes, plus_blocks, to_planes
from medarts_ops.networks.skip_dropout import SkipFactors
from medarts_ops.space.search_space import N_INPUTS

Kind = TypeVar("Kind", bound=Operation)


class EdgeWeights(NamedTuple):
    """The part of the mixtures that states which are read together have, arranged for its products; see `StateEdges`.

    `scales` has for each of `StateEdges.scaled` the rows [entry · individual · channel] that scale a batch norm (1
    where it only normalises), `shared [individual, target, operation · state]` the weights of what all edges share,
    `passing [individual, target, state]` those of the channels that pass operations by; it has none where none do.
    """

    scales: Sequence[Tensor]
    shared: Tensor
    passing: Tensor


def read_together(spec: SupernetSpec, place: CellPlace) -> list[tuple[int, ...]]:
    """The states of a cell that feed nodes, in order: both inputs as one where their edges have the same operations."""
    mask, inputs = spec.mask(place.reduction), range(N_INPUTS)
    alike = [mask[[row for row, (source, _) in enumerate(spec.space.edges) if source == state]] for state in inputs]
    together = all(np.array_equal(alike[0], each) for each in alike[1:])
    nodes = [(state,) for state in range(N_INPUTS, spec.space.n_sources)]
    return [tuple(inputs), *nodes] if together else [*((state,) for state in inputs), *nodes]


class StateEdges(nn.Module):
    """The edges that leave a state of a cell, or several states whose edges have the same operations.

    Attributes:
        rows: of each edge that of the space, target by target, each from all states in turn.
        n_targets: how many later nodes the edges of a state lead to.
        channels: how many of a state's operations see: all, or the first.
        blocks: (edge, column) of each block that an edge has for itself: separable convolutions that run their half
            twice, those that run it once, `skip_connect` at stride 2, and factored convolutions.
        shared_columns: operations that are computed once for all edges: pools, and `skip_connect` at stride 1.
        scaled: numbers of blocks, as they are scaled: after first halves, after second ones, at stride 2, factored.
    """

    def __init__(
        self, spec: SupernetSpec, place: CellPlace, states: tuple[int, ...], individuals: int, matrix_side: int
    ) -> None:
        super().__init__()
        edges = list(enumerate(spec.space.edges))
        by_state = [[row for row, (source, _) in edges if source == state] for state in states]
        self.rows = [row for of_target in zip(*by_state, strict=True) for row in of_target]
        self.n_targets = len(by_state[0])
        self.cell, self.states, self.individuals, self.share = place.index, states, individuals, spec.channel_share
        self.stride = stride = 2 if place.reduction and states[0] < N_INPUTS else 1
        self.channels = channels = place.channels // self.share
        mask, primitives = spec.mask(place.reduction)[self.rows], spec.space.primitives
        # Those that run twice come first, so that a slice of channels is all that goes through the second half.
        separable = sorted(_present(mask, primitives, Separable), key=lambda each: not each[0].twice)
        factored, pools = _present(mask, primitives, Factored), _present(mask, primitives, Pool)
        skips = _present(mask, primitives, Skip)
        reduced, identities = (skips, []) if stride == 2 else ([], skips)
        self.has_identity = bool(identities)
        self.blocks = [(edge, column) for _, column, edges in (*separable, *reduced, *factored) for edge in edges]
        self.shared_columns = [column for _, column, _ in (*pools, *identities)]

        n = len(states)
        kinds = [(kind, [edge // n for edge in edges]) for kind, _, edges in separable]
        n_reduced = sum(len(edges) for _, _, edges in reduced)
        of_branches = (self.n_targets, channels, stride, matrix_side)
        self.branches = SeparableBranches(individuals, kinds, *of_branches) if kinds else None
        self.reductions = Reductions(individuals, n_reduced // n, channels, channels, states=n) if reduced else None
        self.factored = nn.ModuleList(
            FactoredBranches(individuals, kind, len(edges), channels, stride, states=n) for kind, _, edges in factored
        )
        self.pools = nn.ModuleList(pool.derived(channels, stride, affine=False) for pool, _, _ in pools)
        self.pool_norm = PlaneNorm(n * individuals * channels * len(pools), n * len(pools)) if pools else None
        n_first = sum(len(edges) for _, edges in kinds)
        n_twice = sum(len(edges) for kind, edges in kinds if kind.twice)
        self.scaled = [n_first, n_twice, n_reduced, *(len(edges) for _, _, edges in factored)]
        self.edges_of_others = tuple(edge // n for edge, _ in self.blocks[n_first:])

    def entries(self, mask: NDArray[np.bool_]) -> list[list[int]]:
        """Where the parts of `EdgeWeights` stand in a flat mixture, behind which stand 1, 0 and the sums of its rows.

        `mask [edge, op]` has all edges of the cell.
        """
        one, zero, n_ops = mask.size, mask.size + 1, mask.shape[1]
        n_first, n_twice = self.scaled[:2]
        scaled = [*self.blocks[n_twice:n_first], *self.blocks[:n_twice], *self.blocks[n_first:]]
        scale = [one] * n_twice + [self.rows[edge] * n_ops + column for edge, column in scaled]
        # An operation that an edge lacks must not reach it through what the edges share.
        n = len(self.states)
        by_target = [self.rows[first : first + n] for first in range(0, len(self.rows), n)]
        pairs = [(row, column) for of_target in by_target for column in self.shared_columns for row in of_target]
        shared = [row * n_ops + column if mask[row, column] else zero for row, column in pairs]
        return [scale, shared, [zero + 1 + row for row in self.rows] if self.share > 1 else []]

    def forward(
        self, state: Tensor, weights: EdgeWeights, received: Sequence[Tensor], dropout: SkipFactors | None
    ) -> list[Tensor]:
        """Add what the edges bring to what their targets have received.

        `state` has rows [state, individual, channel], each [image, height, width]; `received` rows [target, individual,
        channel] at the edges' output size: of operations and, where some channels pass them by, of those; empty is
        nothing yet.
        """
        mixed, passing = [*(part.reshape(self.n_targets, -1) for part in received), None, None][:2]
        if self.share == 1:
            return [self._plus_operations(mixed, state, weights, dropout)]
        by_individual = state.view(len(self.states) * self.individuals, -1, *state.shape[1:])
        parts = by_individual.split([self.channels, (self.share - 1) * self.channels], dim=1)
        seen, others = (part.flatten(0, 1) for part in parts)
        if self.stride == 2:
            others = F.max_pool2d(others, 2, ceil_mode=True)
        passed = _plus_weighted(passing, weights.passing, others)
        return [self._plus_operations(mixed, seen, weights, dropout), passed.view(-1, *others.shape[1:])]

    def _plus_operations(
        self, total: Tensor | None, state: Tensor, weights: EdgeWeights, dropout: SkipFactors | None
    ) -> Tensor:
        size = (state.shape[1], -(-state.shape[2] // self.stride), -(-state.shape[3] // self.stride))
        if self.blocks and total is not None and autocast_type(state.device) is not None:
            # What is in half precision is summed by itself, and added once to what is not.
            total = total + self._plus_blocks(None, state, weights.scales)
        elif self.blocks:
            total = self._plus_blocks(total, state, weights.scales)
        total = self._plus_shared(total, state, weights.shared, dropout)
        if total is None:
            return state.new_zeros(self.n_targets * len(state) // len(self.states), *size)
        return total.view(-1, *size)

    def _plus_blocks(self, total: Tensor | None, state: Tensor, scales: Sequence[Tensor]) -> Tensor:
        """What edges have for themselves, in the order of `blocks`, of which there are some."""
        (activated,) = in_autocast_type(F.relu(state))
        of_first, of_twice, of_reduced, *of_factored = scales
        if self.branches is not None:
            total = self.branches(activated, of_first, of_twice, total)
        others = [] if self.reductions is None else [self.reductions(activated, of_reduced)]
        others += [each(activated, part) for each, part in zip(self.factored, of_factored, strict=True)]
        first = 0
        for other in others:
            n_blocks = len(other) // (self.individuals * self.channels)
            total = plus_blocks(total, self.edges_of_others[first : first + n_blocks], self.n_targets, other)
            first += n_blocks
        assert total is not None
        return total

    def _plus_shared(
        self, total: Tensor | None, state: Tensor, weights: Tensor, dropout: SkipFactors | None
    ) -> Tensor | None:
        """Each target's weighted sum over what all edges share, one product for each individual."""
        shared: list[Tensor] = []
        if self.pool_norm is not None:
            shared.append(self.pool_norm(self._pooled(state)))
        if self.has_identity:
            shared.append(state if dropout is None else state * self._dropped(dropout, state))
        if not shared:
            return total
        operations = torch.cat(shared) if len(shared) > 1 else shared[0]
        return _plus_weighted(total, weights, operations)

    def _dropped(self, dropout: SkipFactors, state: Tensor) -> Tensor:
        parts = zip(self.states, state.chunk(len(self.states)), strict=True)
        factors = [dropout.factors(self.cell, number, part) for number, part in parts]
        return torch.cat(factors) if len(factors) > 1 else factors[0]

    def _pooled(self, state: Tensor) -> Tensor:
        """Rows [state, individual, channel] → [pool, state, individual, channel], at the edges' output size."""
        if on_cpu(state):  # whose pools are twice as fast on channels-last images
            images = from_planes(state)
            return to_planes(torch.cat([pool(images) for pool in self.pools], dim=1))
        return torch.cat([pool(state) for pool in self.pools])


def _plus_weighted(total: Tensor | None, weights: Tensor, values: Tensor) -> Tensor:
    """`total [edge, individual · …]` plus `weights [individual, edge, n]` times `values [n, individual, …]`."""
    individuals, n_edges, n = weights.shape
    # In autocast's half precision young α's differences would be lost.
    values = values.reshape(n, individuals, -1).to(weights.dtype)
    if total is not None:
        total = total.reshape(n_edges, individuals, -1).to(weights.dtype)
    summed: Tensor = _PlusWeighted.apply(total, weights, values)
    return summed.view(n_edges, -1)


class _PlusWeighted(torch.autograd.Function):
    """Every tensor's individuals lie inside of its rows, where a product for each would otherwise not leave them."""

    @staticmethod
    def forward(context: Any, total: Tensor | None, weights: Tensor, values: Tensor) -> Tensor:
        context.save_for_backward(weights, values)
        summed = values.new_empty(weights.shape[1], *values.shape[1:])
        outs, rows = summed.transpose(0, 1), values.transpose(0, 1)
        with without_autocast(values.device):
            if total is None:
                torch.bmm(weights, rows, out=outs)
            else:
                torch.baddbmm(total.transpose(0, 1), weights, rows, out=outs)
        return summed

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights, values = context.saved_tensors
        of_total, of_weights, of_values = (gradients[0] if each else None for each in context.needs_input_grad)
        with without_autocast(values.device):
            if of_weights is not None:
                of_weights = torch.bmm(of_weights.transpose(0, 1), values.permute(1, 2, 0))
        if of_values is not None:
            of_values = _PlusWeighted.apply(None, weights.transpose(1, 2), of_values)
        return of_total, of_weights, of_values


def _present(
    mask: NDArray[np.bool_], primitives: tuple[str, ...], kind: type[Kind]
) -> list[tuple[Kind, int, list[int]]]:
    """The operations of one kind that any edge has, in the table's order: with the column, and the edges."""
    columns = {name: mask[:, primitives.index(name)] for name in OPERATION_TABLE if name in primitives}
    return [
        (operation, primitives.index(name), np.flatnonzero(column).tolist())
        for name, column in columns.items()
        if isinstance(operation := OPERATION_TABLE[name], kind) and column.any()
    ]
