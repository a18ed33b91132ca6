"""How much of an experiment is left, from the epochs that are over and what an epoch of each training costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.data.evaluation_images import training_images
from medarts_ops.experiment import ExperimentPlan, Training
from medarts_ops.observers import DatasetSummary
from medarts_ops.time_left import GENOTYPE_SHARE, asked_images

Kind = Literal["search", "evaluation"]


@dataclass
class _Work:
    """A training's work: `whole` is its cost; `epochs` are those that are over, of each individual or of itself."""

    kind: Kind
    whole: float
    at_once: int = 1
    done: float = 0.0
    is_over: bool = False
    epochs: dict[str, int] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return 0.0 if self.is_over else max(0.0, self.whole - self.done)


class ExperimentLeft:
    """Counts an experiment's trainings and estimates its remaining seconds.

    An epoch is taken to cost cells × channels × images × pixels, one of a genotype's short training a share of that
    (ours); seconds per cost are the mean of all epochs of searches that are over, and of evaluations apart. Evaluations
    share the time among the plan's workers, searches come one after the other. What was taken over from before costs
    nothing.
    """

    def __init__(self, plan: ExperimentPlan) -> None:
        self._plan = plan
        self._work = {training.key: _work_of(training, plan.datasets) for training in plan.trainings}
        self._spent: dict[Kind, tuple[float, float]] = {"search": (0.0, 0.0), "evaluation": (0.0, 0.0)}

    @property
    def all(self) -> int:
        """How many trainings there are."""
        return len(self._work)

    @property
    def over(self) -> int:
        """How many of them are over, whatever they came to."""
        return sum(work.is_over for work in self._work.values())

    def epoch_finished(self, training: Training, epoch: int, seconds: float, individual: str = "") -> None:
        """An epoch (from 0) of a training, or of an individual of a search, is over; told twice it counts once."""
        self._over(training, individual, epoch, seconds, _epoch_cost(training, self._plan.datasets, individual))

    def genotype_epoch_finished(self, training: Training, genotype: str, epoch: int, seconds: float) -> None:
        """The same of a search's short training of a genotype."""
        cost = _genotype_cost(training.search_config, self._plan.datasets[training.arm.fingerprint])
        self._over(training, f"genotype {genotype}", epoch, seconds, cost)

    def _over(self, training: Training, who: str, epoch: int, seconds: float, cost: float) -> None:
        work = self._work[training.key]
        if epoch < work.epochs.get(who, 0):
            return
        work.epochs[who] = epoch + 1
        work.done += cost
        total, costs = self._spent[work.kind]
        self._spent[work.kind] = (total + seconds, costs + cost)

    def training_finished(self, key: str) -> None:
        """Nothing is left of a training."""
        self._work[key].is_over = True

    def seconds_left(self) -> float:
        """Seconds until the experiment ends, of the kinds of training that an epoch is known of.

        Infinite where there is none of those that are left.
        """
        kinds = self._kinds_left()
        known = [kind for kind in kinds if self._spent[kind][1] > 0]
        if kinds and not known:
            return math.inf
        return sum(self._seconds_of(kind) for kind in known)

    @property
    def is_whole(self) -> bool:
        """Whether `seconds_left` is of all that is left; or else it takes longer."""
        return all(self._spent[kind][1] > 0 for kind in self._kinds_left())

    def _kinds_left(self) -> list[Kind]:
        kinds: tuple[Kind, ...] = ("search", "evaluation")
        return [kind for kind in kinds if any(work.left > 0 for work in self._work.values() if work.kind == kind)]

    def _seconds_of(self, kind: Kind) -> float:
        left = [work for work in self._work.values() if work.kind == kind and work.left > 0]
        seconds, cost = self._spent[kind]
        side_by_side = 1 if kind == "search" else max(1, min(self._plan.workers, len(left)))
        return seconds / cost * sum(work.left / work.at_once for work in left) / side_by_side


def cost_of(training: Training, datasets: dict[str, DatasetSummary]) -> float:
    """What a training costs, in cells × channels × images × pixels, summed over its epochs and individuals."""
    if training.kind == "evaluation":
        return training.evaluate_config.epochs * _epoch_cost(training, datasets, "")
    config, dataset = training.search_config, datasets[training.arm.fingerprint]
    stages = range(len(config.stages))
    genotypes = sum(map(config.most_candidates_of, stages)) if config.trains_genotypes else 0
    return sum(
        config.epochs_of(index) * _stage_cost(config.stages[index], config, dataset) for index in stages
    ) + genotypes * config.derived.epochs * _genotype_cost(config, dataset)


def _work_of(training: Training, datasets: dict[str, DatasetSummary]) -> _Work:
    at_once = 1
    if training.kind == "search":
        config: ResolvedSearchConfig = training.search_config
        largest = max(config.stages, key=lambda stage: stage.size * stage.epochs)
        at_once = min(config.runtime.workers, math.ceil(largest.size / config.runtime.stack))
    return _Work(training.kind, cost_of(training, datasets), at_once)


def _epoch_cost(training: Training, datasets: dict[str, DatasetSummary], individual: str) -> float:
    dataset = datasets[training.arm.fingerprint]
    if training.kind == "evaluation":
        config = training.evaluate_config
        height, width = dataset.resolution
        return config.cells * config.channels * training_images(config, dataset) * height * width
    stages = training.search_config.stages
    name = individual.rpartition("-")[0]
    stage = next((stage for stage in stages if stage.name == name), stages[0])
    return _stage_cost(stage, training.search_config, dataset)


def _stage_cost(stage: StageConfig, config: ResolvedSearchConfig, dataset: DatasetSummary) -> float:
    return stage.cells * stage.channels * _pixels(stage.images, config, dataset)


def _genotype_cost(config: ResolvedSearchConfig, dataset: DatasetSummary) -> float:
    derived = config.derived
    return GENOTYPE_SHARE * derived.cells * derived.channels * _pixels(derived.images, config, dataset)


def _pixels(images: int | float, config: ResolvedSearchConfig, dataset: DatasetSummary) -> float:
    """Of a sample of so many images, or of such a share, as the search sees them."""
    height, width = dataset.resolution
    return asked_images(images, dataset.n_train) * config.dataset.seen_side(math.isqrt(height * width)) ** 2
