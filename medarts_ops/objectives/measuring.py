"""What an objective is: a function from a trained individual, and what it knows beside that, to a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medarts_ops.config import ParaAugConfig
from medarts_ops.individual import TrainedIndividual


@dataclass(frozen=True)
class MeasuringContext:
    """What objectives know beside the individual: the size of the counted network, and the full-size images.

    `resolution` is height and width of the standard data, on which the found network will run.
    """

    para_aug: ParaAugConfig
    n_classes: int
    in_channels: int
    resolution: tuple[int, int]


Objective = Callable[[TrainedIndividual, MeasuringContext], float]
