"""Node-wise crossover: each node of a child has all its incoming edges' α from one of two survivors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.evolution.crossover import crossover_pairs
from medarts_ops.evolution.offspring import Offspring
from medarts_ops.individual import RankedIndividual
from medarts_ops.space.search_space import SearchSpace


def nodewise_crossover(
    survivors: Sequence[RankedIndividual], n_children: int, space: SearchSpace, rng: np.random.Generator
) -> tuple[Offspring, ...]:
    """Children whose nodes are each one parent's, from survivors that stand best first.

    Couples are those of `crossover_pairs`: the first named gives the hyperparameters. For each kind of cell and each
    node a coin says which of the two gives all its rows: every array's, and the mask's. Since a genotype is read node
    by node, each node of the child's genotype is that node of one parent, which mixing single rows does not keep: the
    parent with the sharper rows would win.

    The unit is CARS's (Yang et al. 2020), which swaps nodes of genotypes; on α, with a coin for each cell, it is ours.
    """
    couples = [(survivors[one], survivors[other]) for one, other in crossover_pairs(len(survivors), n_children)]
    return tuple(
        Offspring("nodewise", couple, _mixed(couple[0].trained.alpha, couple[1].trained.alpha, space, rng))
        for couple in couples
    )


def _mixed(one: Alpha, other: Alpha, space: SearchSpace, rng: np.random.Generator) -> Alpha:
    # All outcomes of the coins, [normal's nodes and reduction's], but those in which one parent gives every node.
    n_coins = 2 * space.n_nodes
    drawn = int(rng.integers(1, 2**n_coins - 1))
    coins = np.array([drawn >> place & 1 for place in range(n_coins)], dtype=bool)
    inputs = [sum(target == node for _, target in space.edges) for node in sorted({node for _, node in space.edges})]
    normal, reduce = (np.repeat(of_kind, inputs) for of_kind in np.split(coins, 2))  # [edge]
    return Alpha(
        normal=_rows_of_either(one.normal, other.normal, normal),
        reduce=_rows_of_either(one.reduce, other.reduce, reduce),
    )


def _rows_of_either(one: CellAlpha, other: CellAlpha, from_other: NDArray[np.bool_]) -> CellAlpha:
    """A cell with `other`'s rows where `from_other [edge]` is true, `one`'s elsewhere, bit for bit."""

    def either(mine: NDArray[np.generic], theirs: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.where(from_other.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)

    mask = None
    if one.mask is not None or other.mask is not None:
        full = np.ones_like(other.mask if one.mask is None else one.mask)
        mask = either(full if one.mask is None else one.mask, full if other.mask is None else other.mask)
    return CellAlpha(arrays={name: either(array, other.arrays[name]) for name, array in one.arrays.items()}, mask=mask)
