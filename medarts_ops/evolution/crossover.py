"""Crossover: two survivors exchange the α of their reduction cells (ME-DARTS, section III.B)."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.alpha import Alpha
from medarts_ops.evolution.offspring import Offspring
from medarts_ops.individual import RankedIndividual


def crossover_pairs(n_survivors: int, n_children: int) -> tuple[tuple[int, int], ...]:
    """For each child, the places (from 0, best first) of the survivors that give its normal and its reduction cell.

    Couples are taken best-ranked first: (0, 1), (0, 2), (1, 2), (0, 3), … Each gives g3 (normal cell of the better)
    and then g4 (normal cell of the other); an odd count drops the last g4. There are at most n(n - 1) children, so
    fewer come back when fewer survived than planned, and none from a single survivor.

    The order of couples and the odd count are ours; the paper names only g3 and g4.
    """
    couples = [(better, other) for other in range(n_survivors) for better in range(other)]
    givers = [pair for better, other in couples for pair in ((better, other), (other, better))]
    return tuple(givers[:n_children])


def crossover(survivors: Sequence[RankedIndividual], n_children: int) -> tuple[Offspring, ...]:
    """The children of cell swaps, from survivors that stand best first.

    g1(α_n1, α_r1) and g2(α_n2, α_r2) give g3(α_n1, α_r2) and g4(α_n2, α_r1). A child carries its parents' trained α
    bit for bit, and names the parent that gave its normal cell first.
    """
    pairs = crossover_pairs(len(survivors), n_children)
    couples = [(survivors[normal], survivors[reduce]) for normal, reduce in pairs]
    return tuple(
        Offspring(
            "crossover", couple, Alpha(normal=couple[0].trained.alpha.normal, reduce=couple[1].trained.alpha.reduce)
        )
        for couple in couples
    )
