"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable

from medarts_ops.config import StrategyConfig
from medarts_ops.errors import ConfigError, unknown_name
from medarts_ops.strategies.darts import FirstOrderDarts, SecondOrderDarts
from medarts_ops.strategies.protocol import Strategy


def _darts(config: StrategyConfig) -> Strategy:
    return FirstOrderDarts() if config.order == "first" else SecondOrderDarts(config.finite_difference)


STRATEGIES: dict[str, Callable[[StrategyConfig], Strategy]] = {"darts": _darts}


def build_strategy(config: StrategyConfig) -> Strategy:
    """The strategy that `strategy.name` and its settings ask for.

    Raises:
        ConfigError: no strategy of that name.
    """
    if config.name not in STRATEGIES:
        raise ConfigError(f"strategy.name: {unknown_name('strategy', config.name, STRATEGIES)}")
    return STRATEGIES[config.name](config)
