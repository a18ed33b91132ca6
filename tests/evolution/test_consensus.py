"""The consensus says in the mean what the survivors say, as sharply as they do."""

from __future__ import annotations

import numpy as np
import pytest
from evolution.survivors import make_survivors
from factories import make_alpha

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.evolution.consensus import consensus, consensus_alpha


def centred(logits: np.ndarray) -> np.ndarray:
    rows: np.ndarray = logits.astype(float) - logits.astype(float).mean(axis=1, keepdims=True)
    return rows


def only(logits: object, mask: object = None) -> Alpha:
    cell = CellAlpha(arrays={"op_logits": np.array(logits)}, mask=None if mask is None else np.array(mask))
    return Alpha(normal=cell, reduce=cell)


def logits_of(alpha: Alpha) -> np.ndarray:
    return alpha.normal.arrays["op_logits"]


def test_the_consensus_of_one_is_the_one():
    alone = make_alpha(7, edges_weighted=True)
    agreed = consensus_alpha([alone])
    for cell, before in zip(agreed.cells, alone.cells, strict=True):
        for name, array in before.arrays.items():
            np.testing.assert_allclose(cell.arrays[name], array, atol=1e-6)


def test_two_that_differ_agree_on_what_they_share_at_their_own_sharpness():
    # Centred rows (1, 0, -1) and (1, -1, 0): mean (1, -½, -½), whose root mean square √½ becomes theirs, √⅔.
    agreed = consensus_alpha([only([[1.0, 0.0, -1.0]]), only([[1.0, -1.0, 0.0]])])
    np.testing.assert_allclose(logits_of(agreed), np.array([[1, -0.5, -0.5]]) * np.sqrt(4 / 3), rtol=1e-6)


def test_offsets_of_rows_say_nothing_and_sharpness_is_the_mean_of_the_survivors():
    alphas = [make_alpha(number) for number in range(5)]
    shifted = [only(logits_of(alpha) + 10.0 * number) for number, alpha in enumerate(alphas)]
    one, other = (centred(logits_of(consensus_alpha(each))) for each in (alphas, shifted))
    np.testing.assert_allclose(one, other, atol=1e-5)
    wanted = np.mean([np.sqrt(np.mean(centred(logits_of(alpha)) ** 2)) for alpha in alphas])
    assert np.sqrt(np.mean(one**2)) == pytest.approx(wanted, rel=1e-5)


def test_survivors_that_say_the_opposite_agree_on_nothing_and_stay_finite():
    agreed = consensus_alpha([only([[1.0, -1.0]]), only([[-1.0, 1.0]])])
    assert logits_of(agreed).tolist() == [[0.0, 0.0]]


def test_an_operation_is_there_if_any_survivor_has_it_and_is_averaged_over_those_that_do():
    one = only([[3.0, -3.0, 99.0]], [[True, True, False]])
    two = only([[3.0, -3.0, 0.0]], [[True, True, True]])
    agreed = consensus_alpha([one, two])
    assert agreed.normal.mask is None
    values = logits_of(agreed)[0]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2, abs=1e-6)  # in the middle, as with who has it
    still = consensus_alpha([one, only([[1.0, 2.0, 5.0]], [[True, True, False]])])
    assert still.normal.mask is not None and still.normal.mask.tolist() == [[True, True, False]]


def test_all_survivors_are_its_parents_best_first():
    child = consensus(make_survivors(3))
    assert (child.origin, [parent.id for parent in child.parents]) == ("consensus", ["init-00", "init-01", "init-02"])
