"""Genotypes drawn at random: the networks that the paper compares datasets with (IV.D)."""

from __future__ import annotations

from medarts_ops.errors import ConfigError
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.space.genotype import EDGES_PER_NODE, SELECTABLE, Edges, Genotype
from medarts_ops.space.search_space import MAX_NODES, N_INPUTS, PRIMITIVES

MOST_GENOTYPES = 1_000
"""At most so many (ours): the smallest space, of one node, has 2,401 of them."""

OPERATIONS = tuple(name for name in PRIMITIVES if name in SELECTABLE)


def random_genotypes(n: int, seed: int, nodes: int = 4) -> tuple[Genotype, ...]:
    """`n` different genotypes of DARTS's space with `nodes` nodes a cell.

    Each node reads two different earlier states, any two equally likely, each through an operation, all equally likely.
    A cell concatenates all its nodes, as DARTS's do. Fewer are the first of more with the same seed.

    Raises:
        ConfigError: more genotypes or nodes than are allowed, or fewer than one.
    """
    for what, got, most in (("networks", n, MOST_GENOTYPES), ("nodes", nodes, MAX_NODES)):
        if not 1 <= got <= most:
            raise ConfigError(f"{what} drawn at random are {got}: allowed are 1 to {most:,}")
    rng = random_generator(seed, 0, 0, Stream.NETWORKS)

    def cell() -> Edges:
        sources = [rng.choice(N_INPUTS + node, EDGES_PER_NODE, replace=False) for node in range(nodes)]
        chosen = [OPERATIONS[place] for place in rng.integers(len(OPERATIONS), size=EDGES_PER_NODE * nodes)]
        return tuple(zip(chosen, (int(source) for pair in sources for source in pair), strict=True))

    concat = tuple(range(N_INPUTS, N_INPUTS + nodes))
    found: dict[Genotype, None] = {}
    while len(found) < n:
        found.setdefault(Genotype(normal=cell(), normal_concat=concat, reduce=cell(), reduce_concat=concat))
    return tuple(found)
