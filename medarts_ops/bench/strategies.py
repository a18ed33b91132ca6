"""The search step of strategies, in time and memory, against first-order DARTS's on the same work."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.bench.launches import count_launches
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.config import ResolvedSearchConfig, StageConfig, StrategyConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.strategies.darts import DartsSettings
from medarts_ops.strategies.registry import check_strategy
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import step_of_search, time_interleaved
from medarts_ops.value import Value

YARDSTICK = "first-order DARTS"


class StrategyTiming(Value):
    """One strategy's step. `seconds` is a median, `peak_bytes` are those beyond the weights.

    The ratios are to first-order DARTS's step: below 1 is faster, or smaller.
    """

    strategy: str
    seconds: float
    seconds_ratio: float
    peak_bytes: int
    bytes_ratio: float
    launches: int


def measure_strategies(
    config: ResolvedSearchConfig, stage: StageConfig, size: ImageShape, repeats: int, names: Sequence[str]
) -> tuple[StrategyTiming, ...]:
    """A step of each named strategy, all in turn, in the order of the names.

    The config's own strategy has the config's settings, each other its defaults. ConfigError for a strategy that nobody
    registered, or that can't do with the stage.
    """
    device = Runtime.from_config(config.runtime).device
    yardstick = DartsSettings(order="first")
    asked = {name: config.strategy if name == config.strategy.name else StrategyConfig(name=name) for name in names}
    settings = {name: check_strategy(_searching_by(given, config, stage)) for name, given in asked.items()}
    # The yardstick is timed once, under its own name where it is asked for.
    own = next((name for name, each in settings.items() if each == yardstick), YARDSTICK)
    steps = {
        name: step_of_search(_searching_by(each, config, stage), stage, size)
        for name, each in {own: yardstick, **settings}.items()
    }
    seconds = time_interleaved(steps, repeats, device)
    peaks = {key: peak_bytes(step, device) for key, step in steps.items()}
    return tuple(
        StrategyTiming(
            strategy=name,
            seconds=seconds[name],
            seconds_ratio=seconds[name] / seconds[own],
            peak_bytes=peaks[name],
            bytes_ratio=peaks[name] / peaks[own],
            launches=sum(count_launches(steps[name]).values()),
        )
        for name in names
    )


def _searching_by(given: StrategyConfig, config: ResolvedSearchConfig, stage: StageConfig) -> ResolvedSearchConfig:
    return config.model_copy(update={"strategy": given, "stages": (stage,)})
