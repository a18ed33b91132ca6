"""Node-wise crossover: whole nodes, each of one parent, whatever they hold."""

from __future__ import annotations

import numpy as np
import pytest
from evolution.survivors import make_survivors, survivors_with
from factories import DARTS_SPACE, make_alpha

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.evolution.nodewise import nodewise_crossover
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import CellKind, Genotype

KINDS: tuple[CellKind, ...] = ("normal", "reduce")
NODE_OF_EDGE = [node for _, node in DARTS_SPACE.edges]


def genotype_of(alpha: Alpha) -> Genotype:
    def softmax(logits: np.ndarray) -> np.ndarray:
        weights: np.ndarray = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return weights

    return discretize(DARTS_SPACE, *(softmax(cell.arrays["op_logits"].astype(float)) for cell in alpha.cells))


def nodes_of(genotype: Genotype) -> list[tuple[tuple[str, int], ...]]:
    """Each node's two pairs, the normal cell's first."""
    return [genotype.edges(kind)[first : first + 2] for kind in KINDS for first in range(0, 8, 2)]


def test_each_node_of_the_childs_genotype_is_that_node_of_one_parent():
    rng = np.random.default_rng(0)
    for draw in range(150):
        sharp, flat = make_alpha(2 * draw), make_alpha(2 * draw + 1)
        sharp = Alpha(normal=scaled(sharp.normal, 20), reduce=scaled(sharp.reduce, 20))
        (child,) = nodewise_crossover(survivors_with([sharp, flat]), 1, DARTS_SPACE, rng)
        of_parents = zip(nodes_of(genotype_of(sharp)), nodes_of(genotype_of(flat)), strict=True)
        assert all(
            node in of_both for node, of_both in zip(nodes_of(genotype_of(child.alpha)), of_parents, strict=True)
        )


def scaled(cell: CellAlpha, factor: float) -> CellAlpha:
    return CellAlpha(arrays={name: factor * array for name, array in cell.arrays.items()})


def givers(child: Alpha, parents: list[Alpha]) -> list[int]:
    """Which parent gave each node of both cells, all its rows of every array alike."""
    found = []
    for kind in KINDS:
        cell, of_parents = getattr(child, kind), [getattr(parent, kind) for parent in parents]
        for node in dict.fromkeys(NODE_OF_EDGE):
            rows = [edge for edge, target in enumerate(NODE_OF_EDGE) if target == node]
            alike = [
                all(
                    array[rows].tobytes() == of_parent.arrays[name][rows].tobytes()
                    for name, array in cell.arrays.items()
                )
                for of_parent in of_parents
            ]
            assert alike.count(True) == 1
            found.append(alike.index(True))
    return found


def test_every_array_goes_with_its_node_bit_for_bit_and_both_parents_give_one_at_least():
    survivors = make_survivors(2)
    alphas = [survivor.trained.alpha for survivor in survivors]
    rng = np.random.default_rng(1)
    drawn = [givers(nodewise_crossover(survivors, 1, DARTS_SPACE, rng)[0].alpha, alphas) for _ in range(300)]
    assert all(0 < sum(nodes) < len(nodes) for nodes in drawn)
    assert np.mean(drawn, axis=0) == pytest.approx([0.5] * 8, abs=0.12)  # every coin falls on both sides
    assert len({tuple(nodes) for nodes in drawn}) > 100  # of 254


def test_masks_go_with_their_rows_and_a_parent_without_one_has_all_operations():
    masked = make_alpha(1)
    mask = np.ones((14, 8), bool)
    mask[:, 5] = False
    masked = Alpha(normal=masked.normal.model_copy(update={"mask": mask}), reduce=masked.reduce)
    whole = make_alpha(2)
    for seed in range(20):
        (child,) = nodewise_crossover(survivors_with([masked, whole]), 1, DARTS_SPACE, np.random.default_rng(seed))
        of_masked = (child.alpha.normal.arrays["op_logits"] == masked.normal.arrays["op_logits"]).all(axis=1)
        assert child.alpha.normal.mask is not None
        assert (child.alpha.normal.mask == np.where(of_masked[:, None], mask, True)).all()
        assert child.alpha.reduce.mask is None


def test_children_name_both_parents_in_the_order_of_couples():
    children = nodewise_crossover(make_survivors(3), 3, DARTS_SPACE, np.random.default_rng(0))
    ids = [tuple(parent.id for parent in child.parents) for child in children]
    assert ids == [("init-00", "init-01"), ("init-01", "init-00"), ("init-00", "init-02")]
    assert {child.origin for child in children} == {"nodewise"}


def test_one_survivor_has_no_child():
    assert nodewise_crossover(make_survivors(1), 2, DARTS_SPACE, np.random.default_rng(0)) == ()


def test_the_seed_fixes_the_children():
    one, same, other = (
        nodewise_crossover(make_survivors(2), 2, DARTS_SPACE, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert [child.alpha for child in one] == [child.alpha for child in same]
    assert [child.alpha for child in one] != [child.alpha for child in other]
