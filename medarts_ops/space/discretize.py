"""From mixture weights to a genotype: every node's two strongest edges, each with its strongest operation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medarts_ops.errors import GenotypeError
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Edges, Genotype
from medarts_ops.space.search_space import N_INPUTS, SearchSpace


def discretize(space: SearchSpace, normal_mixture: np.ndarray, reduce_mixture: np.ndarray) -> Genotype:
    """The genotype of two mixtures `[edge, op]` of weights ≥ 0: a strategy's `mixture(α)`, never raw α.

    Every node ranks its incoming edges by their strongest weight that is not `none`'s and keeps two, each with
    that operation; ties go to the lower edge, then to the lower operation. The pairs of a node are listed by
    ascending input, and a cell concatenates all its nodes. A masked operation has weight 0 (or -inf) and is never
    taken; nor is an edge without any other weight.

    Source: ME-DARTS Eq. 5 and DARTS, section 2.4.

    Raises:
        GenotypeError: a mixture's shape does not fit the space, it holds NaN, +inf or a negative number, or
            fewer than two edges of a node have an operation left.
    """
    concat = tuple(range(N_INPUTS, N_INPUTS + space.n_nodes))
    return Genotype(
        normal=_strongest_edges(space, "normal", normal_mixture),
        normal_concat=concat,
        reduce=_strongest_edges(space, "reduce", reduce_mixture),
        reduce_concat=concat,
    )


def one_hot(space: SearchSpace, genotype: Genotype) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both mixtures `[edge, op]`, normal first, of a network that has the genotype's paths alone, each of weight 1.

    An edge that the genotype lacks has no weight; `discretize` gives the genotype back.
    """
    normal, reduce = (_weights_of(space, edges) for edges in (genotype.normal, genotype.reduce))
    return normal, reduce


def _weights_of(space: SearchSpace, edges: Edges) -> NDArray[np.float64]:
    weights = np.zeros((space.n_edges, space.n_primitives))
    for place, (operation, source) in enumerate(edges):
        edge = space.edges.index((source, N_INPUTS + place // EDGES_PER_NODE))
        weights[edge, space.primitives.index(operation)] = 1.0
    return weights


def _strongest_edges(space: SearchSpace, cell: CellKind, mixture: np.ndarray) -> Edges:
    weights = _checked(space, cell, mixture)
    operations = weights.argmax(axis=1)  # the first of equal ones: the lower operation
    strengths = weights.max(axis=1)
    pairs: list[tuple[str, int]] = []
    for node in range(N_INPUTS, N_INPUTS + space.n_nodes):
        incoming = [edge for edge, (_, target) in enumerate(space.edges) if target == node and strengths[edge] > 0]
        if len(incoming) < EDGES_PER_NODE:
            raise GenotypeError(
                f"{cell} cell, node {node}: {len(incoming)} incoming edges have an operation of positive weight, "
                f"needed are {EDGES_PER_NODE}; mask fewer operations"
            )
        kept = sorted(incoming, key=lambda edge: (-strengths[edge], edge))[:EDGES_PER_NODE]
        pairs += [(space.primitives[operations[edge]], space.edges[edge][0]) for edge in sorted(kept)]
    return tuple(pairs)


def _checked(space: SearchSpace, cell: CellKind, mixture: np.ndarray) -> NDArray[np.float64]:
    """A copy of the mixture in which `none` can't win."""
    weights = np.array(mixture, dtype=np.float64)
    expected = (space.n_edges, space.n_primitives)
    if weights.shape != expected:
        raise GenotypeError(f"{cell} mixture [edge, op] has shape {weights.shape}: allowed is {expected} in this space")
    # A finite negative number is the trace of raw α handed in by mistake; -inf is a mask.
    bad = np.isnan(weights) | np.isposinf(weights) | (np.isfinite(weights) & (weights < 0))
    if bad.any():
        edge, operation = np.argwhere(bad)[0]
        raise GenotypeError(
            f"{cell} mixture, edge {edge}, operation {space.primitives[operation]!r}: got {weights[edge, operation]}, "
            "allowed are weights of 0 or more (0 or -inf is a mask); give the strategy's mixture, not raw α"
        )
    weights[:, ~space.in_genotypes] = -np.inf
    return weights
