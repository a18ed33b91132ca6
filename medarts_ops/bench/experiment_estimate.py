"""What a whole experiment will cost in time and on disk, from a few steps of each distinct network that it trains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from math import isqrt
from typing import NamedTuple

from medarts_ops.bench.estimate import (
    SearchTimes,
    estimate_evaluation,
    evaluation_hours,
    planned_seconds,
    search_estimate,
    time_steps,
)
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.data.evaluation_images import images_of_epoch
from medarts_ops.experiment import Arm, ExperimentPlan
from medarts_ops.networks.counting import count_macs, count_parameters
from medarts_ops.observers import DatasetSummary
from medarts_ops.quantities import SECONDS_PER_HOUR, counted
from medarts_ops.shrinking import DrawnImages, smaller_evaluation, smaller_search, without_least_steps
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.trial_steps import RACED_GENOTYPE
from medarts_ops.value import Value

TIMED_SETTINGS = {"cells", "channels", "batch", "accumulate", "auxiliary", "stem", "runtime"}
"""The settings of an evaluation that the time of its batches depends on."""

BYTES_PER_WEIGHT = 4
COPIES = 2
"""Of an evaluation's weights: in the work directory, and as an artifact of its run."""


class ArmEstimate(Value):
    """An arm: hours of one search and of one evaluation of it on one device; 0 where it has none."""

    arm: str
    search_hours: float
    evaluation_hours: float
    parameters: int


class ExperimentEstimate(Value):
    """A whole experiment; `taken_over` trainings are known from before and cost nothing.

    `training_hours` are those of one device, `hours` those until it ends, with the workers of searches and of the
    plan. `disk_bytes` are of weights and of the searches' images.
    """

    searches: int
    evaluations: int
    taken_over: int
    training_hours: float
    hours: float
    disk_bytes: int
    arms: tuple[ArmEstimate, ...]


def estimate_experiment(
    plan: ExperimentPlan,
    repeats: int,
    *,
    known: Collection[str] = (),
    on_timing: Callable[[str], None] = lambda _: None,
) -> ExperimentEstimate:
    """Time `repeats` steps of each distinct size of network and multiply.

    Evaluations of equal size are timed once: those of other genotypes take time like their multiply-adds. What a
    search will find is taken to be like DARTS's network.

    Args:
        known: keys of trainings that are taken over from before.
        on_timing: told what is timed, before it is.
    """
    return TimedPlan(plan, repeats, on_timing).estimate(known)


class PlannedSearch(NamedTuple):
    """An arm's search at some scale, what it costs, and the seconds of each stage's two parts (`planned_seconds`)."""

    config: ResolvedSearchConfig
    hours: float
    seconds: Sequence[tuple[float, float]]


class _Timing(NamedTuple):
    """A network that was timed, and its multiply-adds."""

    step_seconds: float
    macs: int


class TimedPlan:
    """A plan, and what was timed of it so far, by what its time depends on.

    `scale` in 0…1 makes all arms smaller (`shrinking.py`), which needs no other timing.
    """

    def __init__(self, plan: ExperimentPlan, repeats: int, on_timing: Callable[[str], None]) -> None:
        self.plan, self._repeats, self._on_timing = plan, repeats, on_timing
        self._searches: dict[str, SearchTimes] = {}
        self._evaluations: dict[str, _Timing] = {}

    def of_same_networks(self, plan: ExperimentPlan) -> TimedPlan:
        """The same for a plan whose trainings differ from these in how long they are: what was timed is kept."""
        other = copy(self)
        other.plan = plan
        return other

    def seconds(self, scale: float) -> float:
        """What it takes from its begin to its end."""
        return SECONDS_PER_HOUR * self.estimate(scale=scale).hours

    def estimate(self, known: Collection[str] = (), scale: float = 1.0) -> ExperimentEstimate:
        """What it costs; `known` are keys of trainings that are taken over from before."""
        plan = self.plan
        arms = {arm.name: self.arm(arm, scale) for arm in plan.arms}
        repeated = plan.repeated
        trainings = [training for training in plan.trainings if training.key not in repeated]
        left = [training for training in trainings if training.key not in known]
        searches = [training for training in left if training.kind == "search"]
        evaluations = [training for training in left if training.kind == "evaluation"]
        searching = sum(arms[each.arm.name].search_hours for each in searches)
        evaluating = sum(arms[each.arm.name].evaluation_hours for each in evaluations)
        elapsed = sum(sum(map(sum, self.search(each.arm, scale).seconds)) for each in searches) / SECONDS_PER_HOUR
        workers = max(1, min(plan.workers, len(evaluations)))
        weights = sum(arms[each.arm.name].parameters for each in evaluations) * BYTES_PER_WEIGHT * COPIES
        return ExperimentEstimate(
            searches=sum(training.kind == "search" for training in trainings),
            evaluations=sum(training.kind == "evaluation" for training in trainings),
            taken_over=len(trainings) - len(left),
            training_hours=searching + evaluating,
            hours=elapsed + evaluating / workers,
            disk_bytes=weights + sum(self._image_bytes(each.arm, scale) for each in searches),
            arms=tuple(arms.values()),
        )

    def arm(self, arm: Arm, scale: float = 1.0) -> ArmEstimate:
        """What one training of each kind of an arm costs."""
        search = 0.0 if arm.search is None else self.search(arm, scale).hours
        if arm.evaluation is None:
            return ArmEstimate(arm=arm.name, search_hours=search, evaluation_hours=0.0, parameters=0)
        genotype = arm.genotype or zoo_genotype(RACED_GENOTYPE)
        summary = self._summary(arm)
        hours = self._evaluation(smaller_evaluation(arm.evaluation, scale), genotype, summary)
        shape = {"cells": arm.evaluation.cells, "channels": arm.evaluation.channels}
        shape |= {"n_classes": len(summary.class_names), "in_channels": summary.in_channels}
        parameters = count_parameters(genotype, **shape, stem=arm.evaluation.stem)
        return ArmEstimate(arm=arm.name, search_hours=search, evaluation_hours=hours, parameters=parameters)

    def search(self, arm: Arm, scale: float) -> PlannedSearch:
        """The search of an arm that has one."""
        config, dataset = arm.search, self._summary(arm)
        assert config is not None, "the arm has a search"
        stages = tuple(_stage_images(stage.images, dataset) for stage in config.stages)
        images = DrawnImages(stages, _stage_images(config.derived.images, dataset), len(dataset.class_names))
        key = without_least_steps(config).model_dump_json(exclude={"preset", "seed"})
        if key not in self._searches:
            self._on_timing(f"a search of {counted(len(config.stages), 'stage')}")
            side = _searched_side(config, dataset)
            self._searches[key] = time_steps(config, images, _size(dataset, side), self._repeats)
        smaller, drawn = smaller_search(config, images, scale)
        seconds = planned_seconds(smaller, drawn, self._searches[key])
        return PlannedSearch(smaller, search_estimate(smaller, drawn, self._searches[key]).hours, seconds)

    def _image_bytes(self, arm: Arm, scale: float) -> int:
        config, dataset = self.search(arm, scale).config, self._summary(arm)
        side = _searched_side(config, dataset)
        images = sum(_stage_images(stage.images, dataset) for stage in config.stages)
        return images * side * side * dataset.in_channels

    def _summary(self, arm: Arm) -> DatasetSummary:
        return self.plan.datasets[arm.fingerprint]

    def _evaluation(self, config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary) -> float:
        side = _side(dataset)
        size = _size(dataset, side)
        shape = {"cells": config.cells, "channels": config.channels, "n_classes": size.n_classes}
        macs = count_macs(genotype, **shape, in_channels=size.in_channels, resolution=(side, side), stem=config.stem)
        fields = config.model_dump_json(include=TIMED_SETTINGS)
        key = f"{fields}{size}"
        images = images_of_epoch(config, dataset)
        if key not in self._evaluations:
            self._on_timing(f"{config.cells} cells, {config.channels} channels, {side}×{side}, batch {config.batch}")
            timed = estimate_evaluation(config, genotype, images, size, self._repeats)
            self._evaluations[key] = _Timing(timed.step_seconds, macs)
        timing = self._evaluations[key]
        return evaluation_hours(config, images, timing.step_seconds * macs / timing.macs)


def _stage_images(images: float, dataset: DatasetSummary) -> int:
    return images if isinstance(images, int) else max(1, round(images * dataset.n_train))


def _searched_side(config: ResolvedSearchConfig, dataset: DatasetSummary) -> int:
    """The side of what a search trains on; `dataset` may have another, that of the evaluation."""
    return max(8, config.dataset.seen_side(_side(dataset)))


def _side(dataset: DatasetSummary) -> int:
    """The side of a square of as many pixels as an image has."""
    height, width = dataset.resolution
    return max(8, isqrt(height * width))


def _size(dataset: DatasetSummary, side: int) -> ImageShape:
    return ImageShape.square(side, in_channels=dataset.in_channels, n_classes=len(dataset.class_names))
