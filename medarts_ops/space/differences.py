"""Where genotypes part: the edges and outputs that not all of them have alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS

CELLS: tuple[CellKind, ...] = ("normal", "reduce")


class EdgeDifference(NamedTuple):
    """An edge of a cell that not all genotypes have alike.

    `operations` holds what each genotype has between the two states, in the genotypes' order: none where it lacks the
    edge, two where a node reads one state twice.
    """

    cell: CellKind
    node: int
    source: int
    operations: tuple[tuple[str, ...], ...]


class GenotypeDifferences(NamedTuple):
    """Where genotypes part; `equal` counts the edges that all share, `concats` the outputs of cells that differ."""

    edges: tuple[EdgeDifference, ...]
    equal: int
    concats: Mapping[CellKind, tuple[tuple[int, ...], ...]]


def genotype_differences(genotypes: Sequence[Genotype]) -> GenotypeDifferences:
    """Compare genotypes, of any numbers of nodes, edge by edge; the order of a node's two edges means nothing."""
    differing: list[EdgeDifference] = []
    equal = 0
    for cell in CELLS:
        tables = [_operations(genotype, cell) for genotype in genotypes]
        for node, source in sorted({edge for operations in tables for edge in operations}):
            found = tuple(operations.get((node, source), ()) for operations in tables)
            if len(set(found)) == 1:
                equal += len(found[0])
            else:
                differing.append(EdgeDifference(cell, node, source, found))
    concats = {cell: tuple(tuple(sorted(genotype.concat(cell))) for genotype in genotypes) for cell in CELLS}
    return GenotypeDifferences(
        tuple(differing), equal, {cell: found for cell, found in concats.items() if len(set(found)) > 1}
    )


def _operations(genotype: Genotype, cell: CellKind) -> dict[tuple[int, int], tuple[str, ...]]:
    """From (node, source) to what is between these states."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for place, (operation, source) in enumerate(genotype.edges(cell)):
        edge = (N_INPUTS + place // EDGES_PER_NODE, source)
        found[edge] = tuple(sorted((*found.get(edge, ()), operation)))
    return found
