"""When a job's time is over, and who may have how much of what is left."""

from __future__ import annotations

import pytest
from clocks import stand_in_clock
from factories import make_individual, make_search_config_tiny, make_search_runtime, make_trained

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.deadline import (
    AFTERWARDS_SECONDS,
    AFTERWARDS_SHARE,
    SearchDeadline,
    seconds_for,
    seconds_left,
    time_until_last,
)

PLANNED = [(30.0, 0.0), (40.0, 10.0), (20.0, 0.0)]
"""Of a whole of 100 seconds."""


def config_with(workers: int = 1, **budget: object) -> ResolvedSearchConfig:
    runtime = make_search_runtime(workers=workers, budget=BudgetConfig.model_validate(budget))
    return make_search_config_tiny().model_copy(update={"runtime": runtime})


def groups_of(*sizes: int) -> list[list]:
    return [[make_individual(number) for number in range(size)] for size in sizes]


def test_a_part_has_its_part_of_what_is_left_and_leaves_to_the_later_ones_what_it_does_not_take(monkeypatch):
    clock = stand_in_clock(monkeypatch)
    deadline = SearchDeadline(config_with(), 200.0, PLANNED)
    assert deadline.seconds_of_groups(0, 0, groups_of(1)) == [pytest.approx(60)]
    clock.now += 30  # twice as fast as planned
    assert deadline.seconds_of_groups(1, 0, groups_of(1)) == [pytest.approx(170 * 40 / 70)]
    assert deadline.seconds_of_genotypes(1, 2) == pytest.approx(170 * 10 / 30 / 2)
    clock.now += 500
    assert deadline.seconds_of_groups(2, 0, groups_of(1)) == [0.0]


def test_groups_of_a_stage_share_its_time_by_their_size_and_by_who_is_trained_beside_them(monkeypatch):
    stand_in_clock(monkeypatch)
    alone = SearchDeadline(config_with(), 100.0, PLANNED)
    assert alone.seconds_of_groups(0, 0, groups_of(4, 1)) == pytest.approx([24, 6])
    beside = SearchDeadline(config_with(workers=2), 100.0, PLANNED)
    assert beside.seconds_of_groups(0, 0, groups_of(1, 1, 1)) == pytest.approx([15, 15, 15])


def test_no_time_is_left_for_a_stage_of_which_an_epoch_takes_longer_by_what_epochs_took_before(monkeypatch):
    clock = stand_in_clock(monkeypatch)
    deadline = SearchDeadline(config_with(), 100.0, PLANNED)  # all stages of one epoch, three individuals, then three
    clock.now += 55
    assert deadline.has_time_for(1)
    slow = make_trained(epochs=1).model_copy(update={"seconds": 20.0})
    deadline.trained(0, [slow])  # 10 seconds each were planned
    assert not deadline.has_time_for(1) and deadline.has_time_for(2)


def test_what_was_spent_before_and_on_preparing_is_not_left():
    budget = BudgetConfig(seconds=200, prepared=5)
    left = 200 - 200 * AFTERWARDS_SHARE - AFTERWARDS_SECONDS - 5
    assert seconds_left(budget, spent=0) == pytest.approx(left)
    assert seconds_left(budget, spent=30) == pytest.approx(left - 30)
    assert seconds_for(left, prepared=5) == pytest.approx(200)
    assert seconds_left(budget, spent=300) == 0
    assert seconds_left(BudgetConfig(), spent=300) is None


def test_a_search_without_a_budget_has_no_deadline():
    assert SearchDeadline.of(config_with(), 0.0, 1438) is None


def test_a_budget_whose_steps_nobody_timed_is_shared_out_by_cells_channels_and_images(monkeypatch):
    stand_in_clock(monkeypatch)
    deadline = SearchDeadline.of(config_with(seconds=seconds_for(95)), 0.0, 1438)
    assert deadline is not None
    # 3 and 3 individuals of 3 cells, then one of 4.
    assert deadline.seconds_of_groups(0, 0, groups_of(1)) == [pytest.approx(95 * 9 / 22)]


def test_the_last_of_several_ends_when_the_longest_were_begun_first():
    assert time_until_last([1, 2, 3], 1) == 6
    assert time_until_last([1, 2, 3], 2) == 3
    assert time_until_last([], 2) == 0
