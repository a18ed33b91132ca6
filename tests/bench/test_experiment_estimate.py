"""What an experiment will cost, from a few timed steps."""

from __future__ import annotations

import pytest
from experiment_plans import digits, make_arm, make_plan, make_short_evaluation, make_short_search

from medarts_ops.bench.estimate import evaluation_hours
from medarts_ops.bench.experiment_estimate import estimate_experiment
from medarts_ops.networks.counting import count_macs, count_parameters


def test_an_evaluation_is_its_steps_and_a_third_of_each_tested_image() -> None:
    config = make_short_evaluation().model_copy(update={"epochs": 2, "batch": 10})
    # 10 steps (95 images) and 30 tested images, three steps' worth, a third each: 11 steps an epoch.
    assert evaluation_hours(config, (95, 30), 3600.0) == pytest.approx(2 * 11)


def test_equal_sizes_are_timed_once_and_genotypes_take_time_like_their_multiply_adds() -> None:
    said: list[str] = []
    plan = make_plan([make_arm("one"), make_arm("two", "sep_conv_5x5")])
    estimate = estimate_experiment(plan, 1, on_timing=said.append)
    assert said == ["3 cells, 2 channels, 8×8, batch 256"]
    one, two = estimate.arms
    sizes = {"cells": 3, "channels": 2, "n_classes": 10, "in_channels": 1}
    macs = [count_macs(arm.genotype, **sizes, resolution=(8, 8)) for arm in plan.arms if arm.genotype is not None]
    assert two.evaluation_hours / one.evaluation_hours == pytest.approx(macs[1] / macs[0])
    genotype = plan.arms[1].genotype
    assert genotype is not None and two.parameters == count_parameters(genotype, **sizes)
    assert (estimate.searches, estimate.evaluations, estimate.taken_over) == (0, 4, 0)
    assert estimate.training_hours == pytest.approx(2 * (one.evaluation_hours + two.evaluation_hours))
    assert estimate.disk_bytes == 2 * 4 * 2 * (one.parameters + two.parameters)


def test_workers_share_evaluations_and_what_is_known_costs_nothing() -> None:
    plan = make_plan(workers=2)
    estimate = estimate_experiment(plan, 1)
    assert estimate.hours == pytest.approx(estimate.training_hours / 2)
    known = estimate_experiment(plan, 1, known=[training.key for training in plan.trainings])
    assert (known.taken_over, known.hours, known.training_hours, known.disk_bytes) == (4, 0, 0, 0)


def test_fewer_images_take_less_time_and_need_not_be_there_to_be_timed() -> None:
    whole = make_short_evaluation().model_copy(update={"batch": 20})
    some = whole.model_copy(update={"images": 100})
    estimate = estimate_experiment(make_plan([make_arm("all", evaluation=whole), make_arm("some", evaluation=some)]), 1)
    every, fewer = (arm.evaluation_hours for arm in estimate.arms)
    tested = digits().n_test / 20 / 3
    assert fewer / every == pytest.approx((100 / 20 + tested) / (72 + tested))  # 1,438 images are 72 steps


def test_a_search_counts_with_its_images_and_its_own_workers() -> None:
    search = make_short_search()
    search = search.model_copy(update={"runtime": search.runtime.model_copy(update={"workers": 2})})
    arm = make_arm("found", search=search)
    estimate = estimate_experiment(make_plan([arm], seeds=(0, 1, 2)), 1)
    (found,) = estimate.arms
    assert (estimate.searches, estimate.evaluations) == (3, 3)
    assert found.search_hours > 0 and found.evaluation_hours > 0
    assert estimate.hours == pytest.approx(3 * (found.search_hours / 2 + found.evaluation_hours))
    assert estimate.disk_bytes == 3 * (80 * 8 * 8 + found.parameters * 4 * 2)


def test_a_search_on_smaller_images_than_its_evaluation_is_counted_with_its_own() -> None:
    search = make_short_search()
    halved = search.dataset.model_copy(update={"resolution": 2 * 8, "low_resolution": True})
    plain = estimate_experiment(make_plan([make_arm("found", search=search)]), 1)
    smaller = make_arm("found", search=search.model_copy(update={"dataset": halved}))
    assert estimate_experiment(make_plan([smaller]), 1).disk_bytes == plain.disk_bytes
    larger = make_arm(
        "found", search=search.model_copy(update={"dataset": halved.model_copy(update={"low_resolution": False})})
    )
    grown = estimate_experiment(make_plan([larger]), 1).disk_bytes - plain.disk_bytes
    assert grown == 2 * 80 * (16 * 16 - 8 * 8), "of two seeds"
