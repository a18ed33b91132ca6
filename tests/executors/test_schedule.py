"""Longest first: what a stage's barrier wastes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from medarts_ops.executors.schedule import longest_first
from medarts_ops.tasks import Task

PLACES = 16


class Timed(Task[str, None, None]):
    """A task that takes `seconds`."""

    seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        return ("timed",)

    @property
    def source(self) -> None:
        return None

    @property
    def work(self) -> float:
        return self.seconds

    @property
    def remedy(self) -> str:
        return ""

    def failures(self, cause: Any, what: str, known: Any = ()) -> list[None]:
        return []


def ended_after(tasks: Sequence[Timed]) -> float:
    """When the last of them ends, each begun on the first place that is free."""
    free = [0.0] * PLACES
    for task in tasks:
        heapq.heapreplace(free, free[0] + task.seconds)
    return max(free)


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_first_waste_at_most_a_tenth_of_the_bound_and_first_come_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Stacks of one to eight individuals, as halves and early stops leave them, on machines that differ a little.
    tasks = [Timed(seconds=float(n * rng.uniform(0.8, 1.2))) for n in rng.integers(1, 9, size=64)]
    seconds = [task.seconds for task in tasks]
    bound = max(max(seconds), sum(seconds) / PLACES)
    longest = [task for task in longest_first(tasks) if isinstance(task, Timed)]
    assert ended_after(longest) <= 1.1 * bound
    assert ended_after(longest) <= ended_after(tasks)


def test_equal_work_keeps_its_order() -> None:
    tasks = [Timed(seconds=second) for second in (1, 2, 1, 2)]
    assert [id(task) for task in longest_first(tasks)] == [id(tasks[i]) for i in (1, 3, 0, 2)]
