"""The rule that makes a genotype of a mixture, on mixtures made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from factories import make_mixture

from medarts_ops.errors import GenotypeError
from medarts_ops.space.discretize import discretize, one_hot
from medarts_ops.space.search_space import PRIMITIVES, SearchSpace

SPACE = SearchSpace()
NONE, MAX_POOL, SKIP, SEP3 = (
    PRIMITIVES.index(name) for name in ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
)
UNIFORM = np.full((14, 8), 1 / 8)


def normal_cell(mixture: np.ndarray, space: SearchSpace = SPACE) -> tuple[tuple[str, int], ...]:
    return discretize(space, mixture, mixture).normal


def darts_parse(weights: np.ndarray, none: int) -> list[tuple[int, int]]:
    """The rule of the original's `genotype()`, in our own words: (op index, input) per kept edge."""
    kept, start = [], 0
    for node in range(4):
        rows = weights[start : start + node + 2]
        best = [max(row[op] for op in range(8) if op != none) for row in rows]
        for source in sorted(np.argsort(best)[::-1][:2]):
            kept.append((max((w, -op) for op, w in enumerate(rows[source]) if op != none)[1] * -1, int(source)))
        start += node + 2
    return kept


def test_each_node_keeps_its_two_strongest_edges_by_ascending_input() -> None:
    mixture = UNIFORM.copy()
    mixture[4, SEP3] = 0.9  # node 3 reads state 2 (edges 2, 3, 4)
    mixture[2, SKIP] = 0.8
    assert normal_cell(mixture)[2:4] == (("skip_connect", 0), ("sep_conv_3x3", 2))


def test_ties_go_to_the_lower_edge_and_then_to_the_lower_operation() -> None:
    assert normal_cell(UNIFORM) == (("max_pool_3x3", 0), ("max_pool_3x3", 1)) * 4


def test_none_is_never_taken_though_it_is_strongest_everywhere() -> None:
    mixture = np.full((14, 8), 0.01)
    mixture[:, NONE] = 0.9
    mixture[:, SKIP] = 0.04
    assert normal_cell(mixture) == (("skip_connect", 0), ("skip_connect", 1)) * 4


def test_an_edge_is_ranked_by_its_strongest_other_operation_and_not_by_none() -> None:
    mixture = UNIFORM.copy()
    mixture[2, NONE] = 0.99  # strong in nothing else
    mixture[3:5, SEP3] = 0.2
    assert normal_cell(mixture)[2:4] == (("sep_conv_3x3", 1), ("sep_conv_3x3", 2))


def test_the_two_cells_are_read_from_their_own_mixtures() -> None:
    skips = UNIFORM.copy()
    skips[:, SKIP] = 0.5
    genotype = discretize(SPACE, UNIFORM, skips)
    assert (genotype.skip_count("normal"), genotype.skip_count("reduce")) == (0, 8)


def test_all_nodes_are_concatenated_in_a_space_of_five_nodes_without_none() -> None:
    space = SearchSpace(n_nodes=5, primitives=("sep_conv_3x3", "skip_connect"))
    genotype = discretize(space, make_mixture(1, space), make_mixture(2, space))
    assert genotype.n_nodes("normal") == 5
    assert genotype.normal_concat == genotype.reduce_concat == (2, 3, 4, 5, 6)


def test_none_may_stand_last_in_the_primitives() -> None:
    space = SearchSpace(primitives=("skip_connect", "none"))
    mixture = np.tile([0.1, 0.9], (14, 1))
    assert {operation for operation, _ in normal_cell(mixture, space)} == {"skip_connect"}


@pytest.mark.parametrize("masked", [0.0, -np.inf])
def test_masked_operations_are_not_taken(masked: float) -> None:
    mixture = np.full((14, 8), masked)
    mixture[:, SEP3] = 1e-6
    assert {operation for operation, _ in normal_cell(mixture)} == {"sep_conv_3x3"}


def test_a_node_with_one_usable_edge_is_an_error_that_names_it() -> None:
    mixture = UNIFORM.copy()
    mixture[1, 1:] = 0.0
    with pytest.raises(GenotypeError, match="normal cell, node 2: 1 incoming edges"):
        normal_cell(mixture)


@pytest.mark.parametrize("shape", [(13, 8), (14, 7), (14,), (1, 14, 8)])
def test_a_mixture_of_another_shape_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(GenotypeError, match=r"shape .* allowed is \(14, 8\)"):
        discretize(SPACE, np.ones(shape), UNIFORM)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.3])
def test_a_number_that_is_no_weight_is_an_error_that_says_where(bad: float) -> None:
    mixture = UNIFORM.copy()
    mixture[3, SKIP] = bad
    with pytest.raises(GenotypeError, match="reduce mixture, edge 3, operation 'skip_connect'"):
        discretize(SPACE, UNIFORM, mixture)


def test_the_mixture_is_left_as_it_was() -> None:
    mixture = make_mixture(3)
    before = mixture.copy()
    discretize(SPACE, mixture, mixture)
    assert np.array_equal(mixture, before)


@pytest.mark.parametrize("seed", range(10))
def test_random_mixtures_give_what_the_original_rule_gives(seed: int) -> None:
    mixture = make_mixture(seed)
    expected = tuple((PRIMITIVES[operation], source) for operation, source in darts_parse(mixture, NONE))
    assert normal_cell(mixture) == expected


@pytest.mark.parametrize("seed", range(5))
def test_one_hot_mixtures_say_the_genotype_again_and_nothing_else(seed: int) -> None:
    genotype = discretize(SPACE, make_mixture(2 * seed), make_mixture(2 * seed + 1))
    normal, reduce = one_hot(SPACE, genotype)
    assert discretize(SPACE, normal, reduce) == genotype
    assert {normal.sum(), reduce.sum()} == {8.0} and set(np.unique(normal)) == {0.0, 1.0}
