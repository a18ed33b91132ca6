"""DARTS+'s rule, read from a history: two skips, or an order that lasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from factories import make_epoch_record

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.evolution.stop_rule import Stop, darts_plus_stop
from medarts_ops.individual import EpochRecord
from medarts_ops.space.search_space import LEARNABLE, PRIMITIVES

A, B = (1.0, 2.0, 3.0, 4.0), (2.0, 1.0, 3.0, 4.0)  # α of the four learnable operations


def with_skips(*skips: int) -> list[EpochRecord]:
    return [make_epoch_record(epoch).model_copy(update={"normal_skips": count}) for epoch, count in enumerate(skips)]


def with_alpha(*learnable: Sequence[float], others: Sequence[float] = (0, 0, 0, 0), edge: int = 3) -> list[EpochRecord]:
    """Epochs whose α differ on one normal edge alone."""
    history = []
    for record, values in zip(with_skips(*[0] * len(learnable)), learnable, strict=True):
        logits = np.tile([*others, *A], (14, 1))
        logits[edge] = [*others, *values]
        cell = CellAlpha(arrays={"op_logits": logits})
        history.append(record.model_copy(update={"alpha": Alpha(normal=cell, reduce=cell)}))
    return history


def test_the_operations_with_weights_are_the_four_of_the_paper():
    assert [name for name in PRIMITIVES if name in LEARNABLE] == list(PRIMITIVES[4:])


def test_two_skips_in_the_normal_cell_stop_it():
    assert darts_plus_stop(with_skips(0, 1, 2, 2), PRIMITIVES) == Stop(2, "skips")
    assert darts_plus_stop(with_skips(0, 1, 1, 0), PRIMITIVES) is None
    assert darts_plus_stop((), PRIMITIVES) is None


def test_an_order_that_lasts_stops_it():
    assert darts_plus_stop(with_alpha(*[A] * 12), PRIMITIVES) == Stop(9, "ranking")
    assert darts_plus_stop(with_alpha(A, A, *[B] * 11), PRIMITIVES) == Stop(11, "ranking")
    assert darts_plus_stop(with_alpha(*[A] * 9, *[B] * 9, *[A] * 9), PRIMITIVES) is None


def test_only_the_order_counts_and_only_of_operations_with_weights():
    grown = (10.0, 20.0, 30.0, 40.0)
    history = with_alpha(A, grown, *[A] * 8)
    history[1:2] = with_alpha(grown, others=(4, 3, 9, 1))
    assert darts_plus_stop(history, PRIMITIVES) is not None


def test_the_earlier_of_both_criteria_stops_it_and_alpha_may_be_missing():
    history = with_alpha(*[A] * 10)
    late = [*history, *with_skips(*[0] * 11, 2)[10:]]
    assert darts_plus_stop(late, PRIMITIVES) == Stop(9, "ranking")
    assert darts_plus_stop(late[1:], PRIMITIVES) == Stop(11, "skips")
    early = [record.model_copy(update={"normal_skips": 2}) for record in history]
    assert darts_plus_stop(early, PRIMITIVES) == Stop(0, "skips")
