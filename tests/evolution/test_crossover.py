"""Crossover exchanges reduction cells, bit for bit and in rank order."""

from __future__ import annotations

import pytest
from evolution.survivors import make_survivors

from medarts_ops.evolution.crossover import crossover, crossover_pairs
from medarts_ops.evolution.offspring import born


def test_pairs_come_in_rank_order_and_each_gives_two() -> None:
    expected = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (1, 3), (3, 1), (2, 3), (3, 2))
    assert crossover_pairs(4, 12) == expected


def test_an_odd_count_drops_the_last_g4() -> None:
    assert crossover_pairs(3, 3) == ((0, 1), (1, 0), (0, 2))


@pytest.mark.parametrize(
    ("survivors", "children", "expected"), [(1, 4, 0), (0, 4, 0), (2, 4, 2), (4, 0, 0), (4, 99, 12)]
)
def test_there_are_as_many_children_as_pairs_allow(survivors: int, children: int, expected: int) -> None:
    assert len(crossover_pairs(survivors, children)) == expected
    assert len(crossover(make_survivors(survivors), children)) == expected


def test_g3_and_g4_swap_the_reduction_cells() -> None:
    one, two = make_survivors(2)
    g3, g4 = crossover([one, two], 2)
    assert (g3.alpha.normal, g3.alpha.reduce) == (one.trained.alpha.normal, two.trained.alpha.reduce)
    assert (g4.alpha.normal, g4.alpha.reduce) == (two.trained.alpha.normal, one.trained.alpha.reduce)


def test_trained_alphas_are_carried_bit_for_bit_with_their_edge_weights() -> None:
    one, two = make_survivors(2)
    child = crossover([one, two], 1)[0]
    edges, parents_edges = child.alpha.reduce.arrays["edge_logits"], two.trained.alpha.reduce.arrays["edge_logits"]
    assert child.alpha.normal.arrays["op_logits"].tobytes() == one.trained.alpha.normal.arrays["op_logits"].tobytes()
    assert edges is not None and parents_edges is not None
    assert edges.tobytes() == parents_edges.tobytes()


def test_the_giver_of_the_normal_cell_is_named_first_and_gives_its_hyperparameters() -> None:
    _, g4 = born(crossover(make_survivors(2), 2), 1, "mid", 4)
    assert g4.parents == ("init-01", "init-00")
    assert g4.hyperparameters.alpha_lr == pytest.approx(2e-3)


def test_children_are_numbered_behind_the_survivors_and_belong_to_the_new_stage() -> None:
    children = born(crossover(make_survivors(3), 3), 1, "mid", 3)
    assert [(child.id, child.number, child.stage) for child in children] == [
        ("mid-03", 3, 1),
        ("mid-04", 4, 1),
        ("mid-05", 5, 1),
    ]
    assert {child.origin for child in children} == {"crossover"}
