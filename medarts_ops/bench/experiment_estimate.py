"""What a whole experiment will cost in time and on disk, from a few steps of each distinct network that it trains."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isqrt
from typing import NamedTuple

from medarts_ops.bench.estimate import estimate_evaluation, estimate_search, evaluation_hours
from medarts_ops.bench.evaluation_step import GENOTYPE
from medarts_ops.bench.search_step import ImageSize
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.data.evaluation_images import images_of_epoch
from medarts_ops.experiment import Arm, ExperimentPlan
from medarts_ops.networks.counting import count_macs, count_parameters
from medarts_ops.observers import DatasetSummary
from medarts_ops.shrinking import DrawnImages
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype
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
    timed = _Timed(plan, repeats, on_timing)
    arms = tuple(timed.arm(arm) for arm in plan.arms)
    hours = {arm.arm: arm for arm in arms}
    repeated = plan.repeated
    trainings = [training for training in plan.trainings if training.key not in repeated]
    left = [training for training in trainings if training.key not in known]
    searches = [training for training in left if training.kind == "search"]
    evaluations = [training for training in left if training.kind == "evaluation"]
    searching = sum(hours[each.arm.name].search_hours for each in searches)
    evaluating = sum(hours[each.arm.name].evaluation_hours for each in evaluations)
    elapsed = sum(hours[each.arm.name].search_hours / _at_once(each.search_config) for each in searches)
    workers = max(1, min(plan.workers, len(evaluations)))
    weights = sum(hours[each.arm.name].parameters for each in evaluations) * BYTES_PER_WEIGHT * COPIES
    return ExperimentEstimate(
        searches=sum(training.kind == "search" for training in trainings),
        evaluations=sum(training.kind == "evaluation" for training in trainings),
        taken_over=len(trainings) - len(left),
        training_hours=searching + evaluating,
        hours=elapsed + evaluating / workers,
        disk_bytes=weights + sum(_image_bytes(each.search_config, timed.summary(each.arm)) for each in searches),
        arms=arms,
    )


class _Timing(NamedTuple):
    """A network that was timed, and its multiply-adds."""

    step_seconds: float
    macs: int


class _Timed:
    """What was timed so far, by what its time depends on."""

    def __init__(self, plan: ExperimentPlan, repeats: int, on_timing: Callable[[str], None]) -> None:
        self._plan, self._repeats, self._on_timing = plan, repeats, on_timing
        self._searches: dict[str, float] = {}
        self._evaluations: dict[str, _Timing] = {}

    def summary(self, arm: Arm) -> DatasetSummary:
        return self._plan.datasets[arm.fingerprint]

    def arm(self, arm: Arm) -> ArmEstimate:
        search = 0.0 if arm.search is None else self._search(arm.search, self.summary(arm))
        if arm.evaluation is None:
            return ArmEstimate(arm=arm.name, search_hours=search, evaluation_hours=0.0, parameters=0)
        genotype = arm.genotype or zoo_genotype(GENOTYPE)
        hours = self._evaluation(arm.evaluation, genotype, self.summary(arm))
        shape = {"cells": arm.evaluation.cells, "channels": arm.evaluation.channels}
        counted = {"n_classes": len(self.summary(arm).class_names), "in_channels": self.summary(arm).in_channels}
        parameters = count_parameters(genotype, **shape, **counted, stem=arm.evaluation.stem)
        return ArmEstimate(arm=arm.name, search_hours=search, evaluation_hours=hours, parameters=parameters)

    def _search(self, config: ResolvedSearchConfig, dataset: DatasetSummary) -> float:
        key = config.model_dump_json(exclude={"preset", "seed"})
        if key not in self._searches:
            self._on_timing(f"a search of {len(config.stages)} stages")
            side = _side(dataset, halved=config.dataset.low_resolution)
            stages = tuple(_stage_images(stage.images, dataset) for stage in config.stages)
            images = DrawnImages(stages, _stage_images(config.derived.images, dataset))
            timed = estimate_search(config, images, _size(dataset, side), self._repeats)
            self._searches[key] = timed.hours
        return self._searches[key]

    def _evaluation(self, config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary) -> float:
        side = _side(dataset, halved=False)
        size = _size(dataset, side)
        shape = {"cells": config.cells, "channels": config.channels, "n_classes": size.n_classes}
        macs = count_macs(genotype, **shape, in_channels=size.in_channels, resolution=(side, side), stem=config.stem)
        fields = config.model_dump_json(include=TIMED_SETTINGS)
        key = f"{fields}{size.model_dump_json()}"
        images = images_of_epoch(config, dataset)
        if key not in self._evaluations:
            self._on_timing(f"{config.cells} cells, {config.channels} channels, {side}×{side}, batch {config.batch}")
            timed = estimate_evaluation(config, genotype, images, size, self._repeats)
            self._evaluations[key] = _Timing(timed.step_seconds, macs)
        timing = self._evaluations[key]
        return evaluation_hours(config, images, timing.step_seconds * macs / timing.macs)


def _at_once(config: ResolvedSearchConfig) -> int:
    """How many processes train at a time in a search's largest stage."""
    return max(1, min(config.runtime.workers, max(stage.size for stage in config.stages)))


def _image_bytes(config: ResolvedSearchConfig, dataset: DatasetSummary) -> int:
    side = _side(dataset, halved=config.dataset.low_resolution)
    images = sum(_stage_images(stage.images, dataset) for stage in config.stages)
    return images * side * side * dataset.in_channels


def _stage_images(images: float, dataset: DatasetSummary) -> int:
    return images if isinstance(images, int) else max(1, round(images * dataset.n_train))


def _side(dataset: DatasetSummary, *, halved: bool) -> int:
    """The side of a square of as many pixels as an image has."""
    height, width = dataset.resolution
    return max(8, isqrt(height * width) // (2 if halved else 1))


def _size(dataset: DatasetSummary, side: int) -> ImageSize:
    return ImageSize(resolution=side, in_channels=dataset.in_channels, n_classes=len(dataset.class_names))
