"""Plans fitted to a time, by planted step times."""

from __future__ import annotations

import time
from math import ceil

import pytest
from experiment_plans import make_arm, make_plan, make_short_search
from factories import (
    make_dataset_summary,
    make_evaluate_config_tiny,
    make_genotype,
    make_search_config_tiny,
    make_search_runtime,
)

from medarts_ops.bench.estimate import SearchTimes, StepTime, planned_seconds, search_estimate
from medarts_ops.bench.within_budget import (
    PLANNED_SHARE,
    FittedSearch,
    evaluation_within_budget,
    experiment_within_budget,
    fit_search,
)
from medarts_ops.config import ResolvedObjective
from medarts_ops.config_prune import PruneConfig
from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.config_stages import TABLE_II
from medarts_ops.deadline import seconds_for
from medarts_ops.errors import ConfigError
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.shrinking import DrawnImages

OBJECTIVES = ("derived_accuracy", "accuracy", "params")
TIMES = SearchTimes(stages=tuple(StepTime(seconds=seconds, bytes=1) for seconds in (0.1, 0.15, 0.2)))
IMAGES = DrawnImages((10_000, 10_000, 20_000), 0, 10)
WHOLE = 1.2 * (8 * 5 * 79 * 0.1 + 8 * 5 * 79 * 0.15 + 15 * 157 * 0.2)
"""Seconds that Table II takes: individuals, epochs, steps, and a fifth for measuring."""


def fit(seconds: float, prepared: float = 0.0, least_steps: int = 0, **runtime: int) -> FittedSearch:
    """Fitted to so many seconds of training, of which a share is planned."""
    given = make_search_runtime(budget=BudgetConfig(seconds=seconds_for(seconds)), **runtime)  # type: ignore[arg-type]
    stages = tuple(stage.model_copy(update={"least_steps": least_steps}) for stage in TABLE_II)
    config = make_search_config_tiny().model_copy(update={"stages": stages, "runtime": given})
    return fit_search(config, IMAGES, TIMES, prepared)


@pytest.mark.parametrize("after", [None, 2])
def test_the_short_trainings_of_all_stages_are_those_of_the_search_pruned_or_not(after: int | None) -> None:
    objectives = tuple(ResolvedObjective.model_validate({"name": name, "direction": "maximize"}) for name in OBJECTIVES)
    changes = {"stages": TABLE_II, "objectives": objectives, "prune": PruneConfig(after=after)}
    config = make_search_config_tiny().model_copy(update={**changes, "runtime": make_search_runtime()})
    images, times = IMAGES._replace(derived=1000), TIMES.model_copy(update={"genotypes": TIMES.stages[0]})
    genotypes = search_estimate(config, images, times).genotypes
    assert genotypes is not None
    assert genotypes.genotypes == sum(config.finishers(stage) for stage in range(3)) == (17 if after is None else 9)
    alone = sum(seconds for _, seconds in planned_seconds(config, images, times))
    assert alone == pytest.approx(SECONDS_PER_HOUR * genotypes.hours)


def test_a_plan_that_fits_is_left_as_it_is_and_says_what_it_takes():
    fitted = fit(2 * WHOLE)
    assert (fitted.config.stages, fitted.images) == (fitted.asked.stages, fitted.asked_images)
    budget = fitted.config.runtime.budget
    assert (budget.scale, budget.seconds) == (1.0, seconds_for(2 * WHOLE))
    assert sum(budget.stages) == pytest.approx(WHOLE) == pytest.approx(fitted.seconds)


def test_a_plan_that_does_not_fit_is_made_smaller_until_it_does():
    fitted = fit(WHOLE / 4)
    assert 0.8 * PLANNED_SHARE * WHOLE / 4 < fitted.seconds <= PLANNED_SHARE * WHOLE / 4
    assert fitted.asked_seconds == pytest.approx(WHOLE)
    assert 0 < (fitted.config.runtime.budget.scale or 0) < 1
    sizes = [(stage.epochs, stage.size, stage.images) for stage in fitted.config.stages]
    assert sizes[0] == sizes[1] and sizes[2] == (8, 1, pytest.approx(2 * sizes[0][2], abs=1))
    assert sizes[0][:2] == (3, 4)


def test_more_time_gives_no_smaller_plan_and_what_preparing_took_is_of_it():
    plans = [fit(seconds).seconds for seconds in (WHOLE / 16, WHOLE / 8, WHOLE / 3, WHOLE)]
    assert plans == sorted(plans)
    assert fit(WHOLE / 4, prepared=WHOLE / 8).config.stages == fit(WHOLE / 8).config.stages


def test_workers_make_room_for_more():
    assert fit(WHOLE / 4, workers=2).config.stages[0].size > fit(WHOLE / 4).config.stages[0].size


def test_a_budget_below_the_least_is_refused_by_a_line_that_says_it():
    least = 1.2 * 2 * (2 * 0.1 + 3 * 0.15 + 1 * 0.2) / PLANNED_SHARE  # an epoch each, of 100 images in batches of 64
    with pytest.raises(ConfigError, match="budget is 18 s: the smallest search .* about 18 s here with all that is"):
        fit(0.99 * least)
    assert fit(1.01 * least).config.stages[0].epochs == 1


def test_steps_that_a_stage_takes_at_least_are_kept_while_there_is_time_for_them(caplog):
    least = 1.2 * 300 * (2 * 0.1 + 3 * 0.15 + 1 * 0.2) / PLANNED_SHARE
    kept, without = fit(1.1 * least, least_steps=300), fit(0.5 * least, least_steps=300)
    for fitted, expected in ((kept, 300), (without, 0)):
        steps = [
            stage.epochs * ceil(images * 0.5 / stage.batch)
            for stage, images in zip(fitted.config.stages, fitted.images.stages, strict=True)
        ]
        assert {stage.least_steps for stage in fitted.config.stages} == {expected}
        assert (min(steps) >= 300) == (expected == 300)
    (said,) = caplog.messages
    assert said.startswith("a search of 3 min ") and "(least_steps): with fewer, their order may mean little" in said


def test_an_evaluation_trains_fewer_epochs():
    runtime = make_evaluate_config_tiny().runtime
    asked = make_evaluate_config_tiny().model_copy(
        update={"epochs": 10**6, "runtime": runtime.model_copy(update={"budget": BudgetConfig(seconds=600)})}
    )
    fitted = evaluation_within_budget(asked, make_genotype(), make_dataset_summary(), time.monotonic())
    assert fitted is not None
    assert 1 <= fitted.config.epochs < 10**6 and fitted.seconds <= 600 * PLANNED_SHARE
    again = evaluation_within_budget(fitted.config, make_genotype(), make_dataset_summary(), time.monotonic())
    assert again is None, "it was fitted before"


def test_an_experiment_shares_its_time_out_and_makes_all_arms_smaller_alike():
    arms = [make_arm("one", search=make_short_search()), make_arm("two", "sep_conv_5x5")]
    plan = make_plan(arms)
    fitted = experiment_within_budget(plan, 3600.0, time.monotonic())
    assert fitted.scale == 1.0 and fitted.plan.arms[1].evaluation is not None
    configs = [config for arm in fitted.plan.arms for config in (arm.search, arm.evaluation) if config is not None]
    seconds = sum(len(plan.seeds) * (config.runtime.budget.seconds or 0) for config in configs)
    assert seconds == pytest.approx(3600, rel=0.02)
    with pytest.raises(ConfigError, match="the smallest experiment of these settings takes about"):
        experiment_within_budget(plan, 0.001, time.monotonic())


def test_an_experiment_that_prunes_is_refused_by_the_time_that_was_given_before_anything_is_timed():
    search = make_short_search()
    stage = search.stages[0].model_copy(update={"epochs": 2})
    pruned = search.model_copy(update={"stages": (stage,), "prune": PruneConfig(after=1)})
    timed: list[str] = []
    with pytest.raises(ConfigError, match="prune.after is 1 and runtime.budget is 3600 seconds"):
        experiment_within_budget(make_plan([make_arm("one", search=pruned)]), 3600.0, time.monotonic(), timed.append)
    assert timed == []


def test_searches_of_an_experiment_do_without_their_least_steps_where_it_has_no_time_for_them(caplog):
    search, timed = make_short_search(), list[str]()
    stage = search.stages[0].model_copy(update={"epochs": 10**6, "least_steps": 10**6})
    arm = make_arm("one", search=search.model_copy(update={"stages": (stage,)}))
    fitted = experiment_within_budget(make_plan([arm]), 600.0, time.monotonic(), timed.append)
    found = fitted.plan.arms[0].search
    assert found is not None and [stage.least_steps for stage in found.stages] == [0]
    assert found.runtime.budget.scale == fitted.scale
    (said,) = caplog.messages
    assert said.startswith("an experiment of 10 min 0 s has no time for the steps")
    assert len(timed) == len(set(timed)), "nothing is timed twice"
