"""P-DARTS's repair: few enough skip-connections, taken from the weakest on, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from factories import DARTS_SPACE, make_mixture

from medarts_ops.alpha import Mixtures
from medarts_ops.errors import GenotypeError
from medarts_ops.space.search_space import PRIMITIVES, SearchSpace
from medarts_ops.strategies.darts import Darts
from medarts_ops.strategies.skip_repair import read_genotype

SKIP = PRIMITIVES.index("skip_connect")
DARTS = Darts(DARTS_SPACE)


def skippy(seed: int, lead: float = 0.6) -> np.ndarray:
    """A mixture whose skips lead on most edges."""
    mixture = make_mixture(seed)
    mixture[:, SKIP] += lead * np.random.default_rng(seed).uniform(size=14)
    normalised: np.ndarray = mixture / mixture.sum(axis=1, keepdims=True)
    return normalised


@pytest.mark.parametrize("max_skips", [0, 1, 2, 3])
def test_it_ends_with_at_most_so_many_skips_and_a_log_of_each(max_skips: int) -> None:
    for seed in range(60):
        mixtures = Mixtures(skippy(seed), make_mixture(seed + 1000))
        genotype, set_aside = read_genotype(DARTS, mixtures, max_skips)
        assert genotype.skip_count("normal") <= max_skips
        assert len(set(set_aside)) == len(set_aside)
        by_hand = mixtures.normal.copy()
        for source, node in set_aside:
            by_hand[DARTS_SPACE.edges.index((source, node)), SKIP] = 0
        assert genotype == DARTS.genotype(Mixtures(by_hand, mixtures.reduce))
        plain = DARTS.genotype(mixtures)
        assert len(set_aside) >= plain.skip_count("normal") - max_skips
        if plain.skip_count("normal") <= max_skips:
            assert (genotype, set_aside) == (plain, ())


def test_even_a_cell_of_nothing_but_skips_is_repaired() -> None:
    mixture = np.full((14, 8), 1e-6)
    mixture[:, SKIP] = 1 - 7e-6
    genotype, set_aside = read_genotype(DARTS, Mixtures(mixture, mixture), 2)
    assert genotype.skip_count("normal") == 2
    assert len(set_aside) == 12  # every other edge had to be read without its skip
    assert genotype.skip_count("reduce") == 8  # the reduction cell is nobody's concern


def test_the_weakest_goes_first_and_edges_may_change() -> None:
    # One node over three edges is enough to see it: skips of 0.9 and 0.8 on edges 0 and 1, a pooling of 0.5 on edge 2.
    space = SearchSpace(n_nodes=2, primitives=("skip_connect", "max_pool_3x3"))
    mixture = np.array([[0.3, 0.7], [0.3, 0.7], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5]])
    mixture[4] = [0.4, 0.6]
    genotype, set_aside = read_genotype(Darts(space), Mixtures(mixture, mixture), 1)
    assert set_aside == ((1, 3),)
    assert genotype.edges("normal")[2:] == (("skip_connect", 0), ("max_pool_3x3", 2))


def test_without_the_setting_nothing_changes() -> None:
    mixtures = Mixtures(skippy(3), make_mixture(3))
    assert read_genotype(DARTS, mixtures, None) == (DARTS.genotype(mixtures), ())


def test_the_mixtures_that_are_read_stay_as_they_are() -> None:
    mixtures = Mixtures(skippy(5, 5.0), make_mixture(5))
    before = mixtures.normal.copy()
    assert read_genotype(DARTS, mixtures, 0).skips_set_aside
    assert (mixtures.normal == before).all()


def test_where_only_skips_are_left_it_says_what_to_do() -> None:
    mixture = np.zeros((14, 8))
    mixture[:, SKIP] = 1.0
    with pytest.raises(GenotypeError, match=r"^max_skips is 2, .* nothing can replace \(.*; raise max_skips, or let"):
        read_genotype(DARTS, Mixtures(mixture, mixture), 2)
