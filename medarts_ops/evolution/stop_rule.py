"""When DARTS+ would have stopped: a reading of an individual's history, which stops nothing here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from medarts_ops.individual import EpochRecord
from medarts_ops.space.search_space import LEARNABLE

SKIPS = 2
UNCHANGED_EPOCHS = 10


class Stop(NamedTuple):
    """After which epoch, from 0, the rule would have stopped, and by which of its criteria."""

    epoch: int
    criterion: Literal["skips", "ranking"]


def darts_plus_stop(history: Sequence[EpochRecord], primitives: Sequence[str]) -> Stop | None:
    """The first epoch at which DARTS+ would have stopped; None if it would have gone on.

    It stops when the normal cell that α gives has two skip-connections or more; or when the order of the learnable
    operations, those with weights, by α has been the same on every edge of the normal cell for ten epochs in a row.
    Equal α are ordered as in `primitives`, masked operations come last. Epochs whose record keeps no α with
    `op_logits`, as after a stage has ended, are judged by their skips alone.

    Liang et al. 2019 (DARTS+), whose searches last 50 epochs and more: in a stage of five the ranking decides nothing.
    With `max_skips` below 2 the first criterion never fires, since records count the skips that it left.
    """
    learnable = [place for place, name in enumerate(primitives) if name in LEARNABLE]
    before: np.ndarray | None = None
    unchanged = 0
    for record in history:
        if record.normal_skips >= SKIPS:
            return Stop(record.epoch, "skips")
        order = _order(record, learnable)
        is_same = order is not None and before is not None and np.array_equal(order, before)
        unchanged = unchanged + 1 if is_same else int(order is not None)
        before = order
        if unchanged >= UNCHANGED_EPOCHS:
            return Stop(record.epoch, "ranking")
    return None


def _order(record: EpochRecord, learnable: Sequence[int]) -> np.ndarray | None:
    """The learnable operations of each normal edge from the largest α down, [edge, learnable op]; None without α."""
    if record.alpha is None or "op_logits" not in record.alpha.normal.arrays or len(learnable) < 2:
        return None
    cell = record.alpha.normal
    logits = cell.arrays["op_logits"] if cell.mask is None else np.where(cell.mask, cell.arrays["op_logits"], -np.inf)
    order: np.ndarray = np.argsort(-logits[:, learnable], axis=1, kind="stable")
    return order
