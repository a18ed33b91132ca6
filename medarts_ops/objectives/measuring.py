"""What an objective is: a measure of a trained individual, and how its values are compared and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from medarts_ops.config import Direction, ResolvedParaAugConfig
from medarts_ops.errors import ConfigError
from medarts_ops.individual import TrainedIndividual


@dataclass(frozen=True)
class MeasuringContext:
    """What objectives know beside the individual: the size of the counted network, and the full-size images.

    `resolution` is height and width of the standard data, on which the found network will run.
    """

    para_aug: ResolvedParaAugConfig
    n_classes: int
    in_channels: int
    resolution: tuple[int, int]


Measure = Callable[[TrainedIndividual, MeasuringContext], float]


@dataclass(frozen=True)
class Objective:
    """An objective as data; the registry gives it its name.

    Attributes:
        measure: finite, not negative; leaves the global random state alone.
        direction: which way is better, unless the config says otherwise.
        label: its name on axes; the registered name if empty.
        unit: "%" is of shares, "M" of counts; any other stands behind the value as it is.
        is_count: whether it is shown to the last digit where one network stands alone.
        of_counted_network: whether it is the full-size network's, whose size the report says beside it.
        is_timed: whether a clock measures it, which wants a machine on which nothing trains meanwhile.
    """

    measure: Measure
    direction: Direction
    description: str
    label: str = ""
    unit: str = ""
    is_count: bool = False
    of_counted_network: bool = False
    is_timed: bool = False

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            allowed = " and ".join(get_args(Direction))
            raise ConfigError(f"an objective's direction is {self.direction!r}: allowed are {allowed}")
