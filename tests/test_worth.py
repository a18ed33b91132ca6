"""The genotype that worth says, on worth drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from medarts_ops.errors import GenotypeError
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.worth import CellWorth, Worth, mean_worth, weights_by_worth

SPACE = SearchSpace(n_nodes=2, primitives=("none", "skip_connect", "sep_conv_3x3"))  # edges 02 12, 03 13 23
NONE, SKIP, SEP = range(3)
MEASURED = np.ones((5, 3), bool)
MEASURED[:, NONE] = False


def worth(operations: np.ndarray, edges: np.ndarray, measured: np.ndarray = MEASURED) -> Worth:
    cell = CellWorth(operations=operations, edges=edges, measured=measured)
    return Worth(normal=cell, reduce=cell)


def random_worth(seed: int) -> Worth:
    rng = np.random.default_rng(seed)
    return worth(rng.normal(size=(5, 3)), rng.normal(size=5))


def read_by_worth(space: SearchSpace, worths: list[Worth]) -> Genotype:
    return discretize(space, *weights_by_worth(mean_worth(worths)))


def brute_force(worths: list[Worth]) -> tuple[tuple[str, int], ...]:
    """The rule in words: each edge its best mean, each node its two best edges."""
    pairs = []
    for edges in ((0, 1), (2, 3, 4)):
        kept = sorted(edges, key=lambda e: -np.mean([float(w.normal.edges[e]) for w in worths]))[:2]
        for edge in sorted(kept):
            mean = {op: np.mean([float(w.normal.operations[edge, op]) for w in worths]) for op in (SKIP, SEP)}
            pairs.append((SPACE.primitives[max(mean, key=mean.__getitem__)], SPACE.edges[edge][0]))
    return tuple(pairs)


def test_an_edge_has_its_worthiest_operation_and_a_node_its_two_worthiest_edges() -> None:
    operations = np.zeros((5, 3))
    operations[:, SKIP], operations[:, SEP] = [0.1, 0.3, -0.2, 0.9, 0.0], [0.2, 0.1, -0.1, 0.5, 0.4]
    edges = np.array([-0.5, 0.1, 0.3, 0.2, 0.9])  # node 3 keeps states 0 and 2, and not the worthiest operation's edge
    read = read_by_worth(SPACE, [worth(operations, edges)])
    assert (
        read.normal
        == read.reduce
        == (("sep_conv_3x3", 0), ("skip_connect", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 2))
    )


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_a_population_is_read(n: int, seed: int) -> None:
    worths = [random_worth(10 * seed + each) for each in range(n)]
    assert read_by_worth(SPACE, worths).normal == brute_force(worths)
    assert read_by_worth(SPACE, worths * 3) == read_by_worth(SPACE, worths[::-1])


def test_one_individuals_noise_does_not_outvote_the_others() -> None:
    quiet, loud = np.zeros((5, 3)), np.zeros((5, 3))
    quiet[:, SEP], loud[:, SKIP] = 0.2, 0.3
    worths = [worth(each, np.zeros(5)) for each in (quiet, quiet, loud)]
    assert {name for name, _ in read_by_worth(SPACE, worths).normal} == {"sep_conv_3x3"}  # 0.4 against 0.3


def test_what_is_masked_is_never_chosen_though_all_others_do_harm() -> None:
    operations, mask = np.full((5, 3), -1.0), MEASURED.copy()
    mask[:, SEP] = False
    operations[:, SEP] = 0.0
    assert {name for name, _ in read_by_worth(SPACE, [worth(operations, np.zeros(5), mask)]).normal} == {"skip_connect"}
    # Of a population those who measured an operation say what it is worth.
    operations[:, SEP] = 3.0
    both = [worth(operations, np.zeros(5), mask), worth(operations - 4.5, np.zeros(5))]
    assert {name for name, _ in read_by_worth(SPACE, both).normal} == {"sep_conv_3x3"}  # -1.5 against -3.25


def test_ties_go_to_the_lower_operation_and_the_lower_edge() -> None:
    pairs = read_by_worth(SPACE, [worth(np.zeros((5, 3)), np.zeros(5))]).normal
    assert pairs == (("skip_connect", 0), ("skip_connect", 1), ("skip_connect", 0), ("skip_connect", 1))


def test_a_repair_that_takes_an_operation_away_leaves_the_order_of_edges() -> None:
    found = random_worth(3)
    normal, _ = weights_by_worth(found)
    best = normal.argmax(axis=1)
    repaired = normal.copy()
    repaired[np.arange(5), best] = 0.0
    assert list(np.argsort(repaired.max(axis=1))) == list(np.argsort(found.normal.edges))


def test_an_edge_without_a_measured_operation_is_never_taken() -> None:
    mask = MEASURED.copy()
    mask[2] = False
    assert [
        source for _, source in read_by_worth(SPACE, [worth(np.ones((5, 3)), np.arange(5.0)[::-1], mask)]).normal
    ] == [
        0,
        1,
        1,
        2,
    ]
    mask[3] = False
    with pytest.raises(GenotypeError, match="node 3: 1 incoming edges"):
        read_by_worth(SPACE, [worth(np.ones((5, 3)), np.zeros(5), mask)])


def test_no_worth_or_one_of_other_axes_is_refused() -> None:
    with pytest.raises(GenotypeError, match="no worth to read"):
        read_by_worth(SPACE, [])
    with pytest.raises(GenotypeError, match="shape"):
        read_by_worth(SearchSpace(), [random_worth(0)])
    with pytest.raises(ValidationError, match="edges are"):
        worth(np.zeros((5, 3)), np.zeros(4))
    with pytest.raises(ValidationError, match="operations are"):
        worth(np.zeros((4, 3)), np.zeros(4))


def test_json_carries_it_exactly() -> None:
    found = random_worth(1)
    again = Worth.model_validate_json(found.model_dump_json())
    assert again.model_dump_json() == found.model_dump_json()
    assert np.array_equal(again.normal.operations, found.normal.operations)
