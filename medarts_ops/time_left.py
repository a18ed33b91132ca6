"""How much of a search is left, from the epochs that are over and what an epoch of each stage costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.individual import EpochRecord, Individual


@dataclass
class _StageWork:
    cells_and_channels: int
    images: float
    epochs: int
    trained_at_once: int
    individuals: int
    left: dict[str, int] = field(default_factory=dict)
    """Epochs left, of each individual that was born."""

    @property
    def cost(self) -> float:
        """Of one epoch of one individual."""
        return self.cells_and_channels * self.images

    @property
    def epochs_left(self) -> int:
        """Of all individuals, those that are not born yet included."""
        return sum(self.left.values()) + max(0, self.individuals - len(self.left)) * self.epochs

    @property
    def epochs_planned(self) -> int:
        """Of all individuals, over or not."""
        return max(self.individuals, len(self.left)) * self.epochs


class WorkLeft:
    """Counts a search's epochs and estimates its remaining seconds.

    An epoch is taken to cost cells × channels × images (ours); the seconds per cost are the mean of all epochs
    that are over. Individuals trained side by side by several workers share the time.
    """

    def __init__(self, config: ResolvedSearchConfig, n_train: int) -> None:
        self._stages = [_planned(stage, config, index, n_train) for index, stage in enumerate(config.stages)]
        self._stage_of: dict[str, _StageWork] = {}
        self._seconds = 0.0
        self._cost = 0.0

    def stage_started(self, index: int, images: int) -> None:
        """The stage's real number of images is known."""
        self._stages[index].images = images

    def born(self, index: int, individuals: tuple[Individual, ...]) -> None:
        """These individuals of a stage are about to be trained."""
        stage = self._stages[index]
        ids = [individual.id for individual in individuals]
        stage.left |= dict.fromkeys(ids, stage.epochs)
        self._stage_of |= dict.fromkeys(ids, stage)
        if index > 0:
            stage.individuals = len(stage.left)

    def epoch_finished(self, individual_id: str, record: EpochRecord) -> None:
        """One more epoch is over."""
        stage = self._stage_of[individual_id]
        stage.left[individual_id] = stage.epochs - record.epoch - 1
        self._seconds += record.seconds
        self._cost += stage.cost

    def individual_finished(self, individual_id: str) -> None:
        """Nothing is left of an individual, whatever became of it."""
        self._stage_of[individual_id].left[individual_id] = 0

    def epochs_of(self, individual_id: str) -> int:
        """How many epochs an individual trains."""
        return self._stage_of[individual_id].epochs

    def stage_epochs(self, index: int) -> tuple[int, int]:
        """(over, all) epochs of a stage, summed over its individuals."""
        stage = self._stages[index]
        return stage.epochs_planned - stage.epochs_left, stage.epochs_planned

    def seconds_left(self) -> float:
        """Seconds until the search ends; infinite before its first epoch is over."""
        if self._cost == 0:
            return math.inf
        left = sum(stage.cost * stage.epochs_left / stage.trained_at_once for stage in self._stages)
        return self._seconds / self._cost * left


def _planned(stage: StageConfig, config: ResolvedSearchConfig, index: int, n_train: int) -> _StageWork:
    return _StageWork(
        cells_and_channels=stage.cells * stage.channels,
        images=stage.images if isinstance(stage.images, int) else stage.images * n_train,
        epochs=stage.epochs,
        trained_at_once=min(config.runtime.workers, math.ceil(stage.size / config.runtime.stack)),
        individuals=stage.size * (config.proposals.generations if index == 0 else 1),
    )
