"""Mutation: noise as large as the survivors differ, on a quarter of the edges, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from evolution.survivors import make_survivors, survivors_with
from factories import make_alpha

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.evolution.mutation import mutation


def only(logits: np.ndarray, mask: np.ndarray | None = None) -> Alpha:
    cell = CellAlpha(arrays={"op_logits": logits}, mask=mask)
    return Alpha(normal=cell, reduce=cell)


def noise_of(survivors_alpha: list[Alpha], n: int = 200) -> np.ndarray:
    """What was added to the touched rows of the first survivor's mutants, [row, op]."""
    parents = survivors_with(survivors_alpha)
    children = mutation(parents, n, np.random.default_rng(0))
    added = [
        cell.arrays["op_logits"].astype(float) - before.arrays["op_logits"]
        for child in children
        for cell, before in zip(child.alpha.cells, child.parents[0].trained.alpha.cells, strict=True)
    ]
    rows = np.concatenate(added)
    return rows[np.any(rows != 0, axis=1)]


def test_a_quarter_of_the_edges_is_changed_and_the_others_not_at_all():
    (parent, _), (child, _) = survivors_with([make_alpha(1), make_alpha(2)]), mutation(
        survivors_with([make_alpha(1), make_alpha(2)]), 2, np.random.default_rng(0)
    )  # fmt: skip
    for cell, before in zip(child.alpha.cells, parent.trained.alpha.cells, strict=True):
        changed = (cell.arrays["op_logits"] != before.arrays["op_logits"]).any(axis=1)
        assert changed.sum() == 4  # of 14


def test_identical_survivors_are_changed_by_half_their_initial_deviation():
    added = noise_of([make_alpha(1), make_alpha(1)])
    assert added.std() == pytest.approx(0.5 * 1e-3, rel=0.03)  # DARTS's alpha_init_std


def test_the_noise_is_half_of_the_survivors_spread():
    # Two survivors at ±0.2 of their mean in every entry, and at any offset of a row: the spread is 0.2.
    base, sign = make_alpha(3).normal.arrays["op_logits"], np.tile([1.0, -1.0], 4)
    offset = np.random.default_rng(1).normal(size=(14, 1))
    added = noise_of([only(base + 0.2 * sign + offset), only(base - 0.2 * sign - offset)])
    assert added.std() == pytest.approx(0.1, rel=0.03)


def test_masked_operations_stay_masked_and_as_they_were():
    mask = np.ones((14, 8), bool)
    mask[:, [2, 6]] = False
    logits = make_alpha(4).normal.arrays["op_logits"]
    for child in mutation(survivors_with([only(logits, mask)]), 8, np.random.default_rng(0)):
        for cell in child.alpha.cells:
            assert cell.mask is not None
            assert (cell.mask == mask).all()
            assert (cell.arrays["op_logits"][~mask] == logits[~mask]).all()


def test_what_only_masked_operations_say_is_no_spread():
    mask = np.ones((14, 8), bool)
    mask[:, 0] = False
    logits = make_alpha(5).normal.arrays["op_logits"]
    other = logits + 100 * ~mask
    assert noise_of([only(logits, mask), only(other, mask)]).std() < 1e-3


def test_weights_of_edges_are_changed_on_the_same_edges():
    parents = make_survivors(2)
    for child in mutation(parents, 6, np.random.default_rng(2)):
        for cell, before in zip(child.alpha.cells, child.parents[0].trained.alpha.cells, strict=True):
            operations = (cell.arrays["op_logits"] != before.arrays["op_logits"]).any(axis=1)
            edges = cell.arrays["edge_logits"] != before.arrays["edge_logits"]
            assert (operations == edges).all() and edges.sum() == 4


def test_parents_are_taken_best_first_in_turn():
    children = mutation(make_survivors(2), 5, np.random.default_rng(0))
    assert [[parent.id for parent in child.parents] for child in children] == [
        ["init-00"], ["init-01"], ["init-00"], ["init-01"], ["init-00"]
    ]  # fmt: skip
    assert {child.origin for child in children} == {"mutation"}
    assert len({child.alpha for child in children}) == 5


def test_the_seed_fixes_the_mutants():
    one, same, other = (mutation(make_survivors(2), 2, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert [child.alpha for child in one] == [child.alpha for child in same]
    assert [child.alpha for child in one] != [child.alpha for child in other]
