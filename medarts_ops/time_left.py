"""How much of a search is left, from the epochs that are over and what an epoch of each stage costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.derived import DerivedEpoch
from medarts_ops.individual import EpochRecord, Individual

GENOTYPE_SHARE = 0.2
"""What an epoch of a derived network costs of a supernet's of equal cells, channels and images (ours, roughly)."""


@dataclass
class _StageWork:
    """A stage's work: all `individuals` that it trains, several `at_once`, and the epochs `left` of each born one.

    `spared` are those that pruning will spare its populations, each of which is `to_prune` until that has happened.
    """

    stage: StageConfig
    images: float
    individuals: int
    populations: int
    at_once: int
    spared: int
    to_prune: int
    left: dict[str, int] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """Of one epoch of one individual."""
        return self.stage.cells * self.stage.channels * self.images

    @property
    def epochs_left(self) -> int:
        """Of all individuals, those that are not born yet included."""
        unborn = max(0, self.individuals - len(self.left)) * self.stage.epochs
        return max(0, sum(self.left.values()) + unborn - self.spared * self.to_prune)

    @property
    def epochs_planned(self) -> int:
        """Of all individuals, over or not."""
        return max(self.individuals, len(self.left)) * self.stage.epochs - self.spared * self.populations


@dataclass
class _GenotypeWork:
    """The short trainings of genotypes: `left` of each stage, none trained twice; epochs `over` of those in training.

    As many as individuals could ask for, since nobody knows how many genotypes will be equal.
    """

    epochs: int
    cost: float
    left: dict[int, int]
    at_once: int
    over: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    epochs_over: int = 0

    @classmethod
    def planned(cls, config: ResolvedSearchConfig, stages: Sequence[_StageWork], n_train: int) -> _GenotypeWork:
        derived = config.derived
        return cls(
            epochs=derived.epochs,
            cost=GENOTYPE_SHARE * derived.cells * derived.channels * asked_images(derived.images, n_train),
            left={
                index: config.most_candidates_of(index) for index, work in enumerate(stages) if config.trains_genotypes
            },
            at_once=config.runtime.workers,
        )

    def seconds_left(self, seconds_per_cost: float) -> float:
        """By their own epochs, or before the first of them by those of supernets."""
        epochs = max(0, sum(self.left.values()) * self.epochs - sum(self.over.values()))
        each = self.seconds / self.epochs_over if self.epochs_over else self.cost * seconds_per_cost
        return epochs * each / self.at_once


class WorkLeft:
    """Counts a search's epochs and estimates its remaining seconds.

    An epoch is taken to cost cells × channels × images (ours); the seconds per cost are the mean of all epochs
    that are over. Individuals that several workers train at once share the time.
    """

    def __init__(self, config: ResolvedSearchConfig, n_train: int) -> None:
        workers, stack = config.runtime.workers, config.runtime.stack
        self._prune = config.prune
        self._stages = [
            _StageWork(
                stage=stage,
                images=asked_images(stage.images, n_train),
                individuals=stage.size * config.populations_of(index),
                populations=config.populations_of(index),
                spared=config.prune.spared(stage),
                to_prune=config.populations_of(index),
                at_once=min(workers, math.ceil(stage.size / stack)),
            )
            for index, stage in enumerate(config.stages)
        ]
        self._genotypes = _GenotypeWork.planned(config, self._stages, n_train)
        self._stage_of: dict[str, _StageWork] = {}
        self._seconds = self._cost = 0.0

    def stage_started(self, index: int, images: int) -> None:
        """The stage's real number of images is known."""
        self._stages[index].images = images

    def born(self, index: int, individuals: tuple[Individual, ...]) -> None:
        work = self._stages[index]
        for individual in individuals:
            work.left[individual.id] = work.stage.epochs
            self._stage_of[individual.id] = work
        if index > 0:
            work.individuals, work.spared = len(work.left), self._prune.spared(work.stage, len(work.left))

    def epoch_finished(self, individual_id: str, record: EpochRecord) -> None:
        work = self._stage_of[individual_id]
        work.left[individual_id] = work.stage.epochs - record.epoch - 1
        self._seconds += record.seconds
        self._cost += work.cost

    def pruned(self, index: int, individual_ids: Sequence[str]) -> None:
        """A population of the stage was compared, and nothing is left of these."""
        self._stages[index].to_prune -= 1
        for individual_id in individual_ids:
            self.individual_finished(individual_id)

    def individual_finished(self, individual_id: str) -> None:
        """Nothing is left of an individual, whatever became of it."""
        self._stage_of[individual_id].left[individual_id] = 0

    def genotype_epoch_finished(self, genotype: str, record: DerivedEpoch) -> None:
        self._genotypes.over[genotype] = record.epoch + 1
        self._genotypes.seconds += record.seconds
        self._genotypes.epochs_over += 1

    def genotype_trained(self, stage: int, genotype: str) -> None:
        """Nothing is left of a genotype's short training, which the stage asked for."""
        self._genotypes.over.pop(genotype, None)
        self._genotypes.left[stage] -= 1

    def stage_finished(self, index: int) -> None:
        """Genotypes that the stage might have asked for were trained before."""
        self._genotypes.left[index] = 0

    def epochs_of(self, individual_id: str) -> int:
        return self._stage_of[individual_id].stage.epochs

    def stage_epochs(self, index: int) -> tuple[int, int]:
        """(over, all) epochs of a stage, summed over its individuals."""
        planned = self._stages[index].epochs_planned
        return planned - self._stages[index].epochs_left, planned

    def costs(self) -> list[tuple[float, float]]:
        """What is left of each stage and of its genotypes' short trainings, in a unit that only compares them."""
        genotypes = self._genotypes
        each = genotypes.epochs * genotypes.cost / genotypes.at_once
        return [
            (work.cost * work.epochs_left / work.at_once, each * genotypes.left.get(index, 0))
            for index, work in enumerate(self._stages)
        ]

    def seconds_left(self) -> float:
        """Seconds until the search ends; infinite before its first epoch is over."""
        if self._cost == 0:
            return math.inf
        rate = self._seconds / self._cost
        of_stages = sum(work.cost * work.epochs_left / work.at_once for work in self._stages)
        return rate * of_stages + self._genotypes.seconds_left(rate)


def asked_images(asked: int | float, n_train: int) -> float:
    """The size of a D_sample that is asked for as a number or as a share of the training images."""
    return asked if isinstance(asked, int) else asked * n_train
