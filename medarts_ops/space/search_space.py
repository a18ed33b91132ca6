"""The cell that is searched: its nodes, its edges in order, and the operations on an edge (DARTS, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medarts_ops.errors import ConfigError, unknown_name

N_INPUTS = 2  # a cell reads the outputs of the two cells before it: state 0 is c_{k-2}, state 1 is c_{k-1}
MAX_NODES = 16
"""Nodes of a cell at most (ours): the supernet's edges grow with the square, and a text may ask for any number."""

PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""DARTS's eight operations, in its order."""

SKIP = "skip_connect"

EXTRA_OPERATIONS = ("sep_conv_7x7", "conv_7x1_1x7", "conv_3x1_1x3")
"""Operations that only published genotypes use (NASNet, AmoebaNet, PNASNet, SETN)."""

OPERATIONS = PRIMITIVES + EXTRA_OPERATIONS

LEARNABLE = tuple(name for name in OPERATIONS if "conv" in name)
"""Operations with weights of their own."""


@dataclass(frozen=True)
class SearchSpace:
    """A cell: `n_nodes` intermediate nodes, each fed by every earlier state, over `primitives`; else a ConfigError."""

    n_nodes: int = 4
    primitives: tuple[str, ...] = PRIMITIVES

    def __post_init__(self) -> None:
        if not 1 <= self.n_nodes <= MAX_NODES:
            raise ConfigError(f"space.nodes is {self.n_nodes}: allowed is 1 to {MAX_NODES}")
        for name in self.primitives:
            if name not in OPERATIONS:
                raise ConfigError(f"space.primitives: {unknown_name('operation', name, OPERATIONS)}")
        if len(set(self.primitives)) != len(self.primitives):
            raise ConfigError(f"space.primitives repeats an operation: got {list(self.primitives)}")
        if not set(self.primitives) - {"none"}:
            raise ConfigError("space.primitives needs at least one operation beside 'none'")

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All edges as (input state, node state), node by node, inputs ascending."""
        return tuple((source, node) for node in range(N_INPUTS, N_INPUTS + self.n_nodes) for source in range(node))

    @property
    def n_sources(self) -> int:
        """States of a cell that edges leave: its inputs, and all nodes but the last."""
        return N_INPUTS + self.n_nodes - 1

    @property
    def in_genotypes(self) -> NDArray[np.bool_]:
        """Which operations [op] a genotype may hold: all but `none`."""
        return np.array([name != "none" for name in self.primitives])

    @property
    def n_edges(self) -> int:
        """2 + 3 + … edges: 14 for four nodes."""
        return len(self.edges)

    @property
    def n_primitives(self) -> int:
        return len(self.primitives)
