"""Plans fitted to the time that a job may take (`runtime.budget`), by a few timed steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from medarts_ops.bench.estimate import (
    TIMED_STEPS,
    EvaluationEstimate,
    SearchTimes,
    drawn_images,
    estimate_evaluation,
    evaluation_hours,
    planned_seconds,
    time_steps,
)
from medarts_ops.bench.experiment_estimate import TimedPlan
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.data.evaluation_images import images_of_epoch
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.deadline import AFTERWARDS_SECONDS, seconds_for, seconds_left
from medarts_ops.errors import ConfigError
from medarts_ops.experiment import Arm, ExperimentPlan
from medarts_ops.fitting import fitted_evaluation, shape_of
from medarts_ops.observers import DatasetSummary
from medarts_ops.quantities import SECONDS_PER_HOUR, duration
from medarts_ops.shrinking import (
    DrawnImages,
    largest_scale,
    smaller_evaluation,
    smaller_search,
    without_least_steps,
)
from medarts_ops.space.genotype import Genotype

_logger = logging.getLogger(__name__)

PLANNED_SHARE = 0.9
"""Of the time for training (ours): steps may take a tenth longer than timed before any epoch ends early."""

OnTiming = Callable[[str], None]
Settings = TypeVar("Settings", ResolvedSearchConfig, ResolvedEvaluateConfig)


@dataclass(frozen=True)
class FittedSearch:
    """A search as it was asked for and as it fits, with D_sample's sizes and the seconds of both until it ends."""

    asked: ResolvedSearchConfig
    asked_images: DrawnImages
    asked_seconds: float
    config: ResolvedSearchConfig
    images: DrawnImages
    seconds: float
    times: SearchTimes


@dataclass(frozen=True)
class FittedEvaluation:
    """An evaluation likewise."""

    asked: ResolvedEvaluateConfig
    asked_seconds: float
    config: ResolvedEvaluateConfig
    estimate: EvaluationEstimate

    @property
    def seconds(self) -> float:
        """What it takes as it fits."""
        return SECONDS_PER_HOUR * self.estimate.hours


@dataclass(frozen=True)
class FittedExperiment:
    """An experiment likewise: all of its arms are made smaller by one factor. `timed` is the plan as asked for."""

    timed: TimedPlan
    asked_seconds: float
    plan: ExperimentPlan
    seconds: float
    scale: float


def search_within_budget(
    config: ResolvedSearchConfig, data: SearchData, began: float, on_timing: OnTiming = lambda _: None
) -> tuple[FittedSearch | None, SearchData]:
    """A search fitted to its budget, and its images; None for one that has no budget, or was fitted before.

    `began` is when preparing it did, on the monotonic clock: reading images and timing is of the time.

    Raises:
        ConfigError: the least that it can be made takes longer.
    """
    budget = config.runtime.budget
    if budget.seconds is None or budget.scale is not None:
        return None, data
    images = drawn_images(data)
    times = time_steps(config, images, data.stages[0].shape, TIMED_STEPS, on_timing)
    fitted = fit_search(config, images, times, prepared=time.monotonic() - began)
    return fitted, data if fitted.images == images else prepare_search_data(fitted.config)


def fit_search(
    config: ResolvedSearchConfig, images: DrawnImages, times: SearchTimes, prepared: float = 0.0
) -> FittedSearch:
    """The largest search whose steps, taking these `times`, are done in time; nothing is measured.

    One that takes longer with `least_steps` does without them, which is said.

    Raises:
        ConfigError: as `search_within_budget`.
    """

    def seconds_of(plan: ResolvedSearchConfig, scale: float) -> float:
        return sum(map(sum, planned_seconds(*smaller_search(plan, images, scale), times)))

    budget = config.runtime.budget.model_copy(update={"prepared": prepared})
    has_time = seconds_of(config, 0.0) <= _seconds_to_plan(budget)
    plan = config if has_time else without_least_steps(config)
    shorter = "cells, channels or stages" + (", or smaller short trainings (derived)" if plan.trains_genotypes else "")
    scale = _scale(budget, partial(seconds_of, plan), "search", shorter)
    smaller, drawn = smaller_search(plan, images, scale)
    planned = planned_seconds(smaller, drawn, times)
    stages, genotypes = zip(*planned, strict=True)
    fitted = _with_budget(smaller, scale=scale, prepared=prepared, stages=stages, genotypes=genotypes)
    if plan != config:
        _warn_of_few_steps("a search", budget)
    return FittedSearch(config, images, seconds_of(config, 1.0), fitted, drawn, sum(map(sum, planned)), times)


def evaluation_within_budget(
    config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary, began: float
) -> FittedEvaluation | None:
    """An evaluation fitted to its budget, by fewer epochs; as `search_within_budget`.

    Raises:
        ConfigError: an epoch takes longer, or memory is too little for the network.
    """
    budget = config.runtime.budget
    if budget.seconds is None or budget.scale is not None:
        return None
    config = fitted_evaluation(config, genotype, dataset)
    timed = time_evaluation(config, genotype, dataset, TIMED_STEPS)
    images, prepared = images_of_epoch(config, dataset), time.monotonic() - began

    def seconds_at(scale: float) -> float:
        return SECONDS_PER_HOUR * evaluation_hours(smaller_evaluation(config, scale), images, timed.step_seconds)

    scale = _scale(budget.model_copy(update={"prepared": prepared}), seconds_at, "evaluation")
    fitted = _with_budget(smaller_evaluation(config, scale), scale=scale, prepared=prepared)
    estimate = timed.model_copy(update={"hours": seconds_at(scale) / SECONDS_PER_HOUR})
    return FittedEvaluation(config, seconds_at(1.0), fitted, estimate)


def time_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary, repeats: int
) -> EvaluationEstimate:
    """What an evaluation on these images will cost, by so many timed steps."""
    return estimate_evaluation(config, genotype, images_of_epoch(config, dataset), shape_of(dataset), repeats)


def experiment_within_budget(
    plan: ExperimentPlan, seconds: float, began: float, on_timing: OnTiming = lambda _: None
) -> FittedExperiment:
    """An experiment of at most so many seconds: one factor for all arms, so that what is compared stays comparable.

    Each training has the part of the time that it takes of the whole. One that takes longer with the `least_steps` of
    its searches does without them, which is said.

    Raises:
        ConfigError: the least that it can be made takes longer, or a search has what is refused beside a budget.
    """
    for arm in plan.arms:
        if arm.search is not None:  # before anything is timed, and by the number that was given
            ResolvedSearchConfig.model_validate(dict(_with_budget(arm.search, seconds=seconds)))
    timed = TimedPlan(plan, TIMED_STEPS, on_timing)
    counts = timed.estimate()
    afterwards = AFTERWARDS_SECONDS * (counts.searches + counts.evaluations - 1)  # each training has its own
    budget = BudgetConfig(seconds=seconds, prepared=time.monotonic() - began + afterwards)
    fewest = timed
    if timed.seconds(0.0) > _seconds_to_plan(budget):
        fewest = timed.of_same_networks(_without_least_steps(plan))
        _warn_of_few_steps("an experiment", budget)
    scale = _scale(budget, fewest.seconds, "experiment")
    planned = fewest.seconds(scale)
    stretch = (seconds_left(budget, 0.0) or 0.0) / planned
    arms = tuple(_budgeted(arm, fewest, scale, stretch) for arm in fewest.plan.arms)
    return FittedExperiment(timed, timed.seconds(1.0), plan.model_copy(update={"arms": arms}), planned, scale)


def _without_least_steps(plan: ExperimentPlan) -> ExperimentPlan:
    arms = (
        arm if arm.search is None else arm.model_copy(update={"search": without_least_steps(arm.search)})
        for arm in plan.arms
    )
    return plan.model_copy(update={"arms": tuple(arms)})


def _budgeted(arm: Arm, timed: TimedPlan, scale: float, stretch: float) -> Arm:
    """The arm made smaller, and each training given `stretch` times what it is planned to take."""
    search, evaluation = arm.search, arm.evaluation
    if search is not None:
        planned = timed.search(arm, scale)
        stages, genotypes = zip(*planned.seconds, strict=True)
        seconds = seconds_for(stretch * sum(map(sum, planned.seconds)))
        search = _with_budget(planned.config, seconds=seconds, scale=scale, stages=stages, genotypes=genotypes)
    if evaluation is not None:
        seconds = seconds_for(stretch * SECONDS_PER_HOUR * timed.arm(arm, scale).evaluation_hours)
        evaluation = _with_budget(smaller_evaluation(evaluation, scale), seconds=seconds, scale=scale)
    return arm.model_copy(update={"search": search, "evaluation": evaluation})


def _with_budget(config: Settings, **found: object) -> Settings:
    budget = config.runtime.budget.model_copy(update=found)
    return config.model_copy(update={"runtime": config.runtime.model_copy(update={"budget": budget})})


def _warn_of_few_steps(what: str, budget: BudgetConfig) -> None:
    _logger.warning(
        "%s of %s has no time for the steps that its settings ask for at least (least_steps): with fewer, their order "
        "may mean little",
        what,
        duration(budget.seconds or 0.0),
    )


def _seconds_to_plan(budget: BudgetConfig) -> float:
    """What a plan may take of the time."""
    training = seconds_left(budget, 0.0)
    assert training is not None, "it was asked before whether there is a budget"
    return PLANNED_SHARE * training


def _scale(
    budget: BudgetConfig, seconds_at: Callable[[float], float], what: str, fewer: str = "cells, channels or stages"
) -> float:
    scale = largest_scale(_seconds_to_plan(budget), seconds_at)
    if scale is None:
        assert budget.seconds is not None
        least = seconds_for(seconds_at(0.0) / PLANNED_SHARE, budget.prepared)
        raise ConfigError(
            f"runtime.budget is {duration(budget.seconds)}: the smallest {what} of these settings takes about "
            f"{duration(least)} here with all that is not training, and no less is allowed; give more time, or take "
            f"fewer {fewer}"
        )
    return scale
