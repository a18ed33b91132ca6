"""Random genotypes: different ones, uniform over inputs and operations, the same with the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from medarts_ops.errors import ConfigError
from medarts_ops.space.random_genotype import OPERATIONS, random_genotypes


def test_equal_seeds_give_equal_genotypes_and_fewer_are_the_first_of_more():
    assert random_genotypes(3, seed=5) == random_genotypes(10, seed=5)[:3]
    assert random_genotypes(3, seed=5) != random_genotypes(3, seed=6)


def test_all_are_different_even_where_there_are_few():
    assert len(set(random_genotypes(1000, seed=0, nodes=1))) == 1000


def test_each_node_reads_two_different_earlier_states_and_a_cell_concatenates_all_nodes():
    for genotype in random_genotypes(50, seed=0):
        assert genotype.normal_concat == genotype.reduce_concat == (2, 3, 4, 5)
        for edges in (genotype.normal, genotype.reduce):
            sources = [source for _, source in edges]
            assert all(first != second for first, second in zip(sources[::2], sources[1::2], strict=True))


def test_operations_and_inputs_are_equally_likely():
    genotypes = random_genotypes(1000, seed=0)
    operations = Counter(operation for genotype in genotypes for operation, _ in genotype.normal)
    assert set(operations) == set(OPERATIONS) and len(OPERATIONS) == 7 and "none" not in operations
    assert all(abs(count - 8000 / 7) < 150 for count in operations.values())  # standard deviation 31
    last = Counter(source for genotype in genotypes for _, source in genotype.reduce[-2:])
    assert set(last) == {0, 1, 2, 3, 4} and all(abs(count - 400) < 80 for count in last.values())


@pytest.mark.parametrize(
    ("n", "nodes", "message"), [(0, 4, "networks .* are 0"), (1001, 4, "to 1,000"), (1, 17, "to 16")]
)
def test_numbers_that_are_not_allowed_are_refused(n, nodes, message):
    with pytest.raises(ConfigError, match=message):
        random_genotypes(n, 0, nodes)
