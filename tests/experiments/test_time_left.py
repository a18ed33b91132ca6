"""How much of an experiment is left."""

from __future__ import annotations

import math

import pytest
from experiment_plans import digits, make_arm, make_plan, make_short_evaluation, make_short_search

from medarts_ops.config import DerivedConfig, ResolvedObjective
from medarts_ops.experiment import ExperimentPlan, Training
from medarts_ops.experiments.time_left import ExperimentLeft, cost_of
from medarts_ops.time_left import GENOTYPE_SHARE

SECONDS = 3.0


def plan_of_two(workers: int = 1) -> ExperimentPlan:
    """Two arms with two seeds, two epochs each; the second has twice the cells, and so twice the cost."""
    short = make_short_evaluation()
    large = short.model_copy(update={"cells": 2 * short.cells})
    return make_plan([make_arm("one", evaluation=short), make_arm("two", evaluation=large)], workers=workers)


def begun(plan: ExperimentPlan) -> tuple[ExperimentLeft, dict[str, Training]]:
    return ExperimentLeft(plan), {training.key: training for training in plan.trainings}


def test_before_the_first_epoch_nobody_knows() -> None:
    left, _ = begun(plan_of_two())
    assert (left.all, left.over, left.seconds_left(), left.is_whole) == (4, 0, math.inf, False)


def test_an_evaluation_costs_epochs_cells_channels_images_and_pixels() -> None:
    plan = plan_of_two()
    config = plan.arms[0].evaluation
    assert config is not None
    expected = 2 * config.cells * config.channels * digits().n_train * 8 * 8
    assert cost_of(plan.trainings[0], plan.datasets) == expected
    fewer = config.model_copy(update={"images": 100})
    small = make_plan([make_arm("one", evaluation=fewer)])
    assert cost_of(small.trainings[0], small.datasets) == expected / digits().n_train * 100


def test_a_search_costs_all_epochs_of_all_individuals_at_half_the_resolution_where_it_has_that() -> None:
    search = make_short_search()
    (stage,) = search.stages
    plan = make_plan([make_arm("found", search=search)], seeds=(0,))
    expected = 2 * stage.epochs * stage.cells * stage.channels * 80 * 8 * 8
    assert cost_of(plan.trainings[0], plan.datasets) == expected
    low = search.model_copy(update={"dataset": search.dataset.model_copy(update={"low_resolution": True})})
    halved = make_plan([make_arm("found", search=low)], seeds=(0,))
    assert cost_of(halved.trainings[0], halved.datasets) == expected / 4


def test_a_search_has_the_pixels_of_its_own_resolution_beside_an_evaluation_of_another() -> None:
    search = make_short_search()
    smaller = search.model_copy(update={"dataset": search.dataset.model_copy(update={"resolution": 4})})
    plans = [make_plan([make_arm("found", search=each)], seeds=(0,)) for each in (search, smaller)]
    whole, quarter = (cost_of(plan.trainings[0], plan.datasets) for plan in plans)
    assert quarter == whole / 4


def test_short_trainings_of_genotypes_cost_their_epochs_too() -> None:
    plain = make_short_search()
    derived = DerivedConfig(cells=3, channels=4, epochs=5, images=100)
    objectives = (ResolvedObjective(name="derived_loss", direction="minimize"),)
    search = plain.model_copy(update={"objectives": objectives, "derived": derived})
    plans = [make_plan([make_arm("found", search=each)], seeds=(0,)) for each in (plain, search)]
    without, cost = (cost_of(plan.trainings[0], plan.datasets) for plan in plans)
    (stage,) = search.stages
    epoch = GENOTYPE_SHARE * 3 * 4 * 100 * 8 * 8
    assert cost == pytest.approx(without + stage.size * 5 * epoch)
    left, trainings = begun(plans[1])
    for _ in range(2):
        left.genotype_epoch_finished(trainings["found.s0.search"], "a", 0, SECONDS)
    assert left.seconds_left() == pytest.approx(SECONDS * (cost / epoch - 1))


def test_what_is_left_is_what_the_others_cost() -> None:
    left, trainings = begun(plan_of_two())
    left.epoch_finished(trainings["one.s0"], 0, SECONDS)
    # One epoch of its own, two of the other seed, and two of each of the arm that costs twice as much.
    assert left.seconds_left() == pytest.approx(SECONDS * (1 + 2 + 2 * 2 * 2))
    assert left.is_whole


def test_workers_share_the_time_but_not_a_last_training() -> None:
    left, trainings = begun(plan_of_two(workers=2))
    left.epoch_finished(trainings["one.s0"], 0, SECONDS)
    assert left.seconds_left() == pytest.approx(SECONDS * (1 + 2 + 8) / 2)
    for key in ("one.s0", "one.s1", "two.s0"):
        left.training_finished(key)
    assert (left.over, left.seconds_left()) == (3, pytest.approx(SECONDS * 4))


def test_an_epoch_that_is_told_again_counts_once() -> None:
    left, trainings = begun(plan_of_two())
    for _ in range(3):
        left.epoch_finished(trainings["one.s0"], 0, SECONDS)
    assert left.seconds_left() == pytest.approx(SECONDS * 11)


def test_what_is_taken_over_costs_nothing_and_says_nothing_of_the_speed() -> None:
    left, trainings = begun(plan_of_two())
    left.training_finished("one.s0")
    left.training_finished("two.s0")
    assert left.seconds_left() == math.inf
    left.epoch_finished(trainings["one.s1"], 1, SECONDS)
    assert left.seconds_left() == pytest.approx(SECONDS * (1 + 4))


def test_at_the_end_nothing_is_left_whatever_became_of_the_trainings() -> None:
    left, trainings = begun(plan_of_two())
    for key in trainings:
        left.training_finished(key)
    assert (left.over, left.seconds_left(), left.is_whole) == (4, 0, True)


def test_searches_and_evaluations_have_a_speed_each() -> None:
    plan = make_plan([make_arm("found", search=make_short_search())], seeds=(0, 1), workers=2)
    left, trainings = begun(plan)
    left.epoch_finished(trainings["found.s0.search"], 0, SECONDS, "init-00")
    # Three more individuals of an epoch each, one after the other; of evaluations nothing is known.
    assert left.seconds_left() == pytest.approx(SECONDS * 3) and not left.is_whole
    for seed in (0, 1):
        left.training_finished(f"found.s{seed}.search")
    assert left.seconds_left() == math.inf
    left.epoch_finished(trainings["found.s0"], 0, 10.0)
    assert left.seconds_left() == pytest.approx(10.0 * 3 / 2) and left.is_whole
