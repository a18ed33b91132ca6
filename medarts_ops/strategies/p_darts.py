"""P-DARTS (Chen et al. 2019): from stage to stage edges keep fewer operations, and skip-connections are dropped out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from medarts_ops.alpha import Alpha
from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.strategy import StagePlace, Strategy

WARMUP = 0.4
"""The share of a stage in which α is not trained (10 of 25 epochs), where the stage says none."""

DECAY = 0.2
"""By how much the logarithm of skip dropout falls in each epoch after that."""

INITIAL_STD = 1e-3
"""Of an α that is drawn anew, as DARTS's."""


class PDartsSettings(DartsSettings):
    """P-DARTS (Chen et al., 2019). Of each list the last number serves all later stages."""

    operations: tuple[int, ...] = setting((8, 5, 3), "publication", "operations that an edge keeps, in each stage")
    skip_dropout: tuple[float, ...] = setting(
        (0.1, 0.4, 0.7), "publication", "how much of a stride-1 skip-connection is dropped at first, in each stage"
    )
    redraw: bool = setting(False, "ours", "draw α anew in each stage, as P-DARTS does; the paper inherits it")

    @model_validator(mode="after")
    def _are_allowed(self) -> Self:
        if not self.operations or min(self.operations) < 1:
            raise ValueError(f"operations are {list(self.operations)}: allowed are numbers from 1, one for each stage")
        if list(self.operations) != sorted(self.operations, reverse=True):
            raise ValueError(f"operations are {list(self.operations)}: allowed is that none is above the one before")
        if not self.skip_dropout or not all(0 <= share < 1 for share in self.skip_dropout):
            raise ValueError(f"skip_dropout is {list(self.skip_dropout)}: allowed are shares from 0 and below 1")
        return self

    def build(self, space: SearchSpace) -> Strategy:
        return PDarts(space, self)


@dataclass(frozen=True)
class PDarts(Darts):
    """DARTS whose edges keep the operations that the survivors weigh most in the mean.

    One mask for all of a stage, so that crossover is closed (ours: P-DARTS has one network). Its repair of cells with
    too many skips is `max_skips`.
    """

    settings: PDartsSettings = PDartsSettings()

    drops_skips = True

    def skip_dropout(self, place: StagePlace, epoch: int) -> float:
        """Falls linearly while α warms up, then begins anew and falls exponentially, as in P-DARTS's own code."""
        first = _of_stage(self.settings.skip_dropout, place.index)
        epochs = place.stage.epochs
        warmup = round(epochs * (WARMUP if place.stage.warmup is None else place.stage.warmup))
        if epoch < warmup:
            return first * (epochs - epoch - 1) / epochs
        return first * math.exp(-DECAY * (epoch - warmup))

    def next_stage(self, survivors: Sequence[Alpha], place: StagePlace, rng: np.random.Generator) -> Sequence[Alpha]:
        """With the mask of the stage; and with an α of its own for each where it is drawn anew."""
        from medarts_ops.strategies.reading import readings_at

        n = int(_of_stage(self.settings.operations, place.index))
        read = readings_at(self, survivors, place.index / place.n_stages)
        normal, reduce = (self._mask(np.mean(weights, axis=0), n) for weights in zip(*read, strict=True))
        begun = [self.initial_alpha(INITIAL_STD, rng) if self.settings.redraw else each for each in survivors]
        return [
            Alpha(
                normal=each.normal.model_copy(update={"mask": normal}),
                reduce=each.reduce.model_copy(update={"mask": reduce}),
            )
            for each in begun
        ]

    def _mask(self, weights: NDArray[np.float64], n: int) -> NDArray[np.bool_] | None:
        """The `n` operations of the highest mean `weights [edge, op]`, one of them not `none`; None keeps all."""
        useful = np.where(self.space.in_genotypes, weights, -1.0)
        order = np.argsort(-weights, axis=1, kind="stable")[:, :n]
        mask = np.zeros(weights.shape, bool)
        np.put_along_axis(mask, order, True, axis=1)
        mask &= weights > 0
        lacking = ~(mask & (useful > 0)).any(axis=1)
        mask[lacking, useful[lacking].argmax(axis=1)] = True
        return None if mask.all() else mask


def _of_stage(values: Sequence[float], stage: int) -> float:
    return values[min(stage, len(values) - 1)]
