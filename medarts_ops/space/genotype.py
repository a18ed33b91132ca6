"""A discrete architecture: for each node of the normal and the reduction cell, two (operation, input) pairs."""

from __future__ import annotations

import hashlib
import json
from typing import Literal, Self

from pydantic import model_validator

from medarts_ops.errors import GenotypeError, unknown_name
from medarts_ops.space.search_space import N_INPUTS, OPERATIONS
from medarts_ops.value import Value

CellKind = Literal["normal", "reduce"]
Edges = tuple[tuple[str, int], ...]

EDGES_PER_NODE = 2
SELECTABLE = tuple(name for name in OPERATIONS if name != "none")


class Genotype(Value):
    """Two cells in DARTS's flat form: pairs 2i and 2i+1 feed node i, whose state number is i + 2.

    `*_concat` lists the states that a cell's output concatenates. Both pairs of a node may read the
    same state (NASNet's cells do). The order of a node's two pairs means nothing: genotypes that
    differ only there are equal and share an `identity`.

    Raises:
        GenotypeError: an unknown operation, `none`, an input that is not an earlier state, an odd
            number of pairs, or a concat outside the cell.
    """

    normal: Edges
    normal_concat: tuple[int, ...]
    reduce: Edges
    reduce_concat: tuple[int, ...]

    @model_validator(mode="after")
    def _cells_are_possible(self) -> Self:
        _check_cell("normal", self.normal, self.normal_concat)
        _check_cell("reduce", self.reduce, self.reduce_concat)
        return self

    def edges(self, cell: CellKind) -> Edges:
        return self.normal if cell == "normal" else self.reduce

    def concat(self, cell: CellKind) -> tuple[int, ...]:
        return self.normal_concat if cell == "normal" else self.reduce_concat

    def n_nodes(self, cell: CellKind) -> int:
        return len(self.edges(cell)) // EDGES_PER_NODE

    def skip_count(self, cell: CellKind) -> int:
        """How many `skip_connect` a cell has; many in the normal cell mean collapse (P-DARTS, DARTS+)."""
        return sum(operation == "skip_connect" for operation, _ in self.edges(cell))

    def canonical(self) -> Genotype:
        """The same architecture with each node's pairs in sorted order."""
        return Genotype.model_validate(dict(zip(Genotype.model_fields, self._key(), strict=True)))

    @property
    def identity(self) -> str:
        """Twelve hex digits that equal architectures share."""
        text = json.dumps(self.canonical().model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genotype) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (
            _sorted_pairs(self.normal),
            tuple(sorted(self.normal_concat)),
            _sorted_pairs(self.reduce),
            tuple(sorted(self.reduce_concat)),
        )


def _sorted_pairs(edges: Edges) -> Edges:
    pairs: list[tuple[str, int]] = []
    for start in range(0, len(edges), EDGES_PER_NODE):
        pairs += sorted(edges[start : start + EDGES_PER_NODE], key=lambda pair: (pair[1], pair[0]))
    return tuple(pairs)


def _check_cell(cell: str, edges: Edges, concat: tuple[int, ...]) -> None:
    if not edges or len(edges) % EDGES_PER_NODE:
        raise GenotypeError(f"{cell} cell has {len(edges)} edges: allowed is two for each node, one node at least")
    for position, (operation, source) in enumerate(edges):
        node = N_INPUTS + position // EDGES_PER_NODE
        if operation == "none":
            raise GenotypeError(
                f"{cell} cell, node {node}: 'none' is no operation of a genotype; take the strongest other operation"
            )
        if operation not in SELECTABLE:
            raise GenotypeError(f"{cell} cell, node {node}: {unknown_name('operation', operation, SELECTABLE)}")
        if not 0 <= source < node:
            raise GenotypeError(f"{cell} cell, node {node}: input {source} is impossible, allowed are 0 to {node - 1}")
    n_states = N_INPUTS + len(edges) // EDGES_PER_NODE
    if not concat or len(set(concat)) != len(concat) or not all(N_INPUTS <= state < n_states for state in concat):
        raise GenotypeError(
            f"{cell} cell concatenates {list(concat)}: allowed are distinct nodes from {N_INPUTS} to {n_states - 1}"
        )
