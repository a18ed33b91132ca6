"""P-DARTS's guard against collapse: α read again without the weakest skip-connections, until few enough are left."""

from __future__ import annotations

from typing import NamedTuple

from medarts_ops.alpha import Mixtures
from medarts_ops.errors import GenotypeError
from medarts_ops.space.genotype import EDGES_PER_NODE, Genotype
from medarts_ops.space.search_space import N_INPUTS, SKIP
from medarts_ops.strategies.strategy import Strategy


class GenotypeReading(NamedTuple):
    """What mixtures mean, and the (input, node) of the normal cell's skips that were set aside for it, in order."""

    genotype: Genotype
    skips_set_aside: tuple[tuple[int, int], ...] = ()


def read_genotype(strategy: Strategy, mixtures: Mixtures, max_skips: int | None) -> GenotypeReading:
    """The architecture that a reading means, with at most `max_skips` skip-connections in its normal cell.

    While the normal cell has more, the weight of its weakest chosen skip becomes 0 (of equal ones the last edge's, as
    the first one's wins in a reading) and all is read again, so that edges may change, too. None, or no more skips than
    that: it is the strategy's own reading.

    Source: P-DARTS (Chen et al. 2019), whose M is 2.

    Raises:
        GenotypeError: as the strategy's reading; or a node has nothing left but skips.
    """
    genotype = strategy.genotype(mixtures)
    set_aside: list[tuple[int, int]] = []
    normal = mixtures.normal.copy()
    while max_skips is not None and genotype.skip_count("normal") > max_skips:
        edges, skip = strategy.space.edges, strategy.space.primitives.index(SKIP)
        chosen = [edge for edge in _skips(genotype) if edge not in set_aside]
        try:
            if not chosen:
                raise GenotypeError("the strategy's reading keeps skips that have no weight")
            weakest = min(chosen, key=lambda edge: (normal[edges.index(edge), skip], -edges.index(edge)))
            normal[edges.index(weakest), skip] = 0.0
            set_aside.append(weakest)
            genotype = strategy.genotype(mixtures._replace(normal=normal))
        except GenotypeError as error:
            raise GenotypeError(
                f"max_skips is {max_skips}, and the normal cell has more skip-connections that nothing can replace "
                f"({error}); raise max_skips, or let edges keep other operations"
            ) from error
    return GenotypeReading(genotype, tuple(set_aside))


def _skips(genotype: Genotype) -> list[tuple[int, int]]:
    """(input, node) of the normal cell's skip-connections."""
    pairs = enumerate(genotype.normal)
    return [(source, N_INPUTS + place // EDGES_PER_NODE) for place, (operation, source) in pairs if operation == SKIP]
