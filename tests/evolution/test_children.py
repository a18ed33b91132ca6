"""A stage's children: by each operator as many as planned, or as there can be."""

from __future__ import annotations

import numpy as np
import pytest
from evolution.survivors import make_survivors
from factories import DARTS_SPACE

from medarts_ops.config import ChildrenConfig
from medarts_ops.evolution.children import children_of
from medarts_ops.evolution.crossover import crossover
from medarts_ops.evolution.offspring import Offspring, born

PLANNED = ChildrenConfig(swap=3, nodewise=2, mutation=2, consensus=1)


def bred(n_survivors: int, planned: ChildrenConfig = PLANNED) -> tuple[Offspring, ...]:
    return children_of(make_survivors(n_survivors), planned, DARTS_SPACE, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("survivors", "expected"),
    [
        (3, ["crossover"] * 3 + ["nodewise"] * 2 + ["mutation"] * 2 + ["consensus"]),
        (2, ["crossover"] * 2 + ["nodewise"] * 2 + ["mutation"] * 2 + ["consensus"]),
        (1, ["mutation"] * 2),
        (0, []),
    ],
)
def test_fewer_survivors_give_fewer_children(survivors: int, expected: list[str]) -> None:
    assert [child.origin for child in bred(survivors)] == expected


def test_a_plain_number_is_the_papers_cell_swap() -> None:
    assert bred(3, ChildrenConfig(swap=4)) == crossover(make_survivors(3), 4)


def test_children_have_the_hyperparameters_of_their_first_parent() -> None:
    survivors = {survivor.id: survivor.trained.individual.hyperparameters for survivor in make_survivors(3)}
    for child in born(bred(3), 1, "mid", 3):
        assert child.hyperparameters == survivors[child.parents[0]]
