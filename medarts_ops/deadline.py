"""When a job's time is over, and how much of what is left each part of its work may take."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.individual import Individual, Outcome, TrainedIndividual
from medarts_ops.time_left import WorkLeft

AFTERWARDS_SHARE, AFTERWARDS_SECONDS = 0.05, 15.0
"""What of a budget is kept for what comes after the last epoch, such as pictures and the report (ours)."""


def seconds_left(budget: BudgetConfig, spent: float) -> float | None:
    """What is left for training after processes spent `spent` seconds on the job; 0 if nothing is, None without end."""
    if budget.seconds is None:
        return None
    return max(0.0, (1 - AFTERWARDS_SHARE) * budget.seconds - AFTERWARDS_SECONDS - budget.prepared - spent)


def seconds_for(training: float, prepared: float = 0.0) -> float:
    """The budget of which so much is left for training."""
    return (training + AFTERWARDS_SECONDS + prepared) / (1 - AFTERWARDS_SHARE)


def time_until_last(works: Sequence[float], at_once: int) -> float:
    """When the last of these ends, of which so many are done at once, the longest first; 0 without any."""
    ends = [0.0] * at_once
    for work in sorted(works, reverse=True):
        heapq.heapreplace(ends, ends[0] + work)
    return max(ends)


def time_of_stage(config: ResolvedSearchConfig, index: int) -> float:
    """Until a stage ends, with the search's workers and stacks, in the time that one individual takes alone."""
    size = config.stages[index].size
    stack = min(size, config.runtime.stack)
    groups = [min(stack, size - first) for first in range(0, size, stack)]
    return config.populations_of(index) * time_until_last(groups, config.runtime.workers)


class SearchDeadline:
    """Shares out what is left of a search's budget: to each part in proportion to what it was planned to take.

    A stage has two parts, the training of its supernets and its genotypes' short trainings; what one leaves goes to
    later ones. So those who are trained at a time have equal shares, and end after about as many epochs each.
    """

    def __init__(
        self,
        config: ResolvedSearchConfig,
        seconds: float,
        planned: Sequence[tuple[float, float]],
    ) -> None:
        """`seconds` are left from now on; `planned` says of each stage what its parts take, in seconds or any unit."""
        self._config, self._end = config, time.monotonic() + seconds
        self._planned = [part for stage in planned for part in stage]
        self._rate = 1.0  # seconds by planned ones

    @classmethod
    def of(cls, config: ResolvedSearchConfig, spent: float, n_train: int) -> SearchDeadline | None:
        """That of a search on which `spent` seconds were spent before; None if it has no budget."""
        budget, left = config.runtime.budget, seconds_left(config.runtime.budget, spent)
        if left is None:
            return None
        if len(budget.stages) == len(budget.genotypes) == len(config.stages):
            return cls(config, left, list(zip(budget.stages, budget.genotypes, strict=True)))
        return cls(config, left, WorkLeft(config, n_train).costs())  # nobody measured its steps

    def seconds_of_groups(self, stage: int, round: int, groups: Sequence[Sequence[Individual]]) -> list[float]:
        """How long each of these groups, all that is left of a stage's round, may train."""
        sizes = [len(group) for group in groups]
        share = self._share(2 * stage) / (self._config.populations_of(stage) - round)
        longest = time_until_last(sizes, self._config.runtime.workers)
        return [share * size / longest for size in sizes]

    def seconds_of_genotypes(self, stage: int, genotypes: int) -> float:
        """How long each of so many short trainings may take, all that are left of a stage's."""
        rounds = time_until_last([1.0] * genotypes, self._config.runtime.workers)
        return self._share(2 * stage + 1) / max(1.0, rounds)

    def trained(self, stage: int, outcomes: Sequence[Outcome]) -> None:
        """Take note of how long epochs really take."""
        trained = [each for each in outcomes if isinstance(each, TrainedIndividual)]
        epochs, planned = sum(len(each.history) for each in trained), self._planned[2 * stage]
        if epochs and planned:
            of_one = planned / (time_of_stage(self._config, stage) * self._config.stages[stage].epochs)
            self._rate = sum(each.seconds for each in trained) / epochs / of_one

    def has_time_for(self, stage: int) -> bool:
        """Whether an epoch of that stage can still be trained, by how long epochs took before."""
        return self._rate * self._planned[2 * stage] / self._config.stages[stage].epochs <= self._left

    @property
    def _left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def _share(self, part: int) -> float:
        to_do = sum(self._planned[part:])
        return self._left * self._planned[part] / to_do if to_do else self._left
