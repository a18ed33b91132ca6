"""P-DARTS: fewer operations from stage to stage, one mask for all, and the schedule of skip dropout."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from strategy_problems import SPACE, make_alpha_of, make_moment, make_place, make_tensors

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.strategies.alpha_tensors import masked_softmax
from medarts_ops.strategies.p_darts import PDarts, PDartsSettings
from medarts_ops.strategies.strategy import StagePlace

NONE = SPACE.primitives.index("none")


def strategy(**settings: object) -> PDarts:
    built = PDartsSettings.model_validate(settings).build(SPACE)
    assert isinstance(built, PDarts)
    return built


def alpha_of(*rows: np.ndarray) -> list[Alpha]:
    cells = [CellAlpha(arrays={"op_logits": row}) for row in rows]
    return [Alpha(normal=cell, reduce=cell) for cell in cells]


def after(stages: int, alphas: list[Alpha], part: PDarts) -> list[Alpha]:
    for index in range(1, stages + 1):
        alphas = list(part.next_stage(alphas, make_place(index), np.random.default_rng(0)))
    return alphas


def test_edges_keep_as_many_operations_as_the_stage_says_the_same_for_all_and_fewer_each_time() -> None:
    part = strategy()
    alphas, held = make_alpha_of(part, 3, std=1.0), np.ones((SPACE.n_edges, SPACE.n_primitives), bool)
    for index, n in ((1, 5), (2, 3)):
        alphas = list(part.next_stage(alphas, make_place(index), np.random.default_rng(0)))
        masks = [cell.mask for each in alphas for cell in (each.normal,)]
        assert all(mask is not None and np.array_equal(mask, masks[0]) for mask in masks)
        assert masks[0].sum(axis=1).tolist() == [n] * SPACE.n_edges and not (masks[0] & ~held).any()
        held = masks[0]


def test_the_strongest_in_the_survivors_mean_stay_whatever_one_of_them_says() -> None:
    shape = (SPACE.n_edges, SPACE.n_primitives)
    loud, quiet = np.zeros(shape), np.zeros(shape)
    loud[:, 1], quiet[:, 2:5] = 1.0, 2.0
    (first, *_) = after(1, alpha_of(loud, quiet, quiet), strategy(operations=[8, 3]))
    assert first.normal.mask is not None
    assert [list(np.flatnonzero(row)) for row in first.normal.mask] == [[2, 3, 4]] * SPACE.n_edges


def test_an_edge_never_keeps_none_alone() -> None:
    logits = np.zeros((SPACE.n_edges, SPACE.n_primitives))
    logits[:, NONE], logits[:, 6] = 9.0, 1.0
    (one,) = after(1, alpha_of(logits), strategy(operations=[8, 1]))
    assert one.normal.mask is not None
    assert [list(np.flatnonzero(row)) for row in one.normal.mask] == [[NONE, 6]] * SPACE.n_edges


def test_alpha_is_inherited_unless_it_is_to_be_drawn_anew() -> None:
    alphas = make_alpha_of(strategy(), 2, std=1.0)
    kept, drawn = after(1, alphas, strategy()), after(1, alphas, strategy(redraw=True))
    for before, one, other in zip(alphas, kept, drawn, strict=True):
        assert np.array_equal(one.normal.arrays["op_logits"], before.normal.arrays["op_logits"])
        assert np.abs(other.normal.arrays["op_logits"]).max() < 0.01
    assert drawn[0] != drawn[1] and drawn[0].normal.mask is not None


def test_skip_dropout_falls_while_alpha_warms_up_and_again_after_as_in_the_published_code() -> None:
    stage = make_place().stage.model_copy(update={"epochs": 25, "warmup": None})
    places = [StagePlace(index, 3, stage) for index in range(3)]
    for place, first in zip(places, (0.1, 0.4, 0.7), strict=True):
        found = [strategy().skip_dropout(place, epoch) for epoch in range(25)]
        expected = [first * (25 - e - 1) / 25 if e < 10 else first * math.exp(-0.2 * (e - 10)) for e in range(25)]
        assert found == pytest.approx(expected)
        assert found[:10] == sorted(found[:10], reverse=True) and found[10:] == sorted(found[10:], reverse=True)


def test_without_its_parts_it_is_darts() -> None:
    part = strategy(operations=[8], skip_dropout=[0.0])
    alphas = make_alpha_of(part, 2, std=1.0)
    assert after(2, alphas, part) == alphas and part.skip_dropout(make_place(), 0) == 0
    cell = make_tensors(part, alphas).normal
    assert torch.equal(part.mixture(cell, make_moment()), masked_softmax(cell.arrays["op_logits"], cell.mask))
    assert replace(part, space=SPACE) == part


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"operations": [5, 8]}, "none is above the one before"),
        ({"operations": [8, 0]}, "numbers from 1"),
        ({"operations": []}, "numbers from 1"),
        ({"skip_dropout": [1.0]}, "below 1"),
    ],
)
def test_schedules_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        strategy(**settings)
