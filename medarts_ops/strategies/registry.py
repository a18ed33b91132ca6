"""The strategies by name."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

from medarts_ops.config import SearchConfig, StrategyConfig
from medarts_ops.config_parsing import parse_config
from medarts_ops.errors import ConfigError, named, unknown_name
from medarts_ops.hyperparameters import Hyperparameters
from medarts_ops.registry import Registry
from medarts_ops.strategies.asap import AsapSettings
from medarts_ops.strategies.darts import DartsSettings
from medarts_ops.strategies.dr_nas import DrNasSettings
from medarts_ops.strategies.fair_darts import FairDartsSettings
from medarts_ops.strategies.fixed import FixedSettings
from medarts_ops.strategies.gdas import GdasSettings
from medarts_ops.strategies.p_darts import PDartsSettings
from medarts_ops.strategies.pc_darts import PcDartsSettings
from medarts_ops.strategies.proxyless import ProxylessSettings
from medarts_ops.strategies.sdarts import SmoothDartsSettings
from medarts_ops.strategies.snas import SnasSettings
from medarts_ops.strategies.strategy import StagePlace, Strategy, StrategySettings

Config = TypeVar("Config", bound=SearchConfig)

STRATEGIES: Registry[type[StrategySettings]] = Registry(
    "strategy",
    "strategy.name",
    "medarts_ops.strategies",
    {
        "darts": DartsSettings,
        "sdarts-rs": SmoothDartsSettings,
        "pc-darts": PcDartsSettings,
        "p-darts": PDartsSettings,
        "dr-nas": DrNasSettings,
        "fair-darts": FairDartsSettings,
        "asap": AsapSettings,
        "snas": SnasSettings,
        "gdas": GdasSettings,
        "proxyless": ProxylessSettings,
        "fixed": FixedSettings,
    },
    part_type=type(StrategySettings),
    part_is="a subclass of StrategySettings",
)


def strategy_settings(given: StrategyConfig) -> StrategySettings:
    """A config's strategy with all of its defaults; ConfigError if it is unknown, or a setting is not allowed."""
    part = STRATEGIES.get(given.name)
    if isinstance(given, part):
        return given
    settings = given.model_dump()
    try:
        return parse_config(part, settings, "strategy")
    except ConfigError as error:
        elsewhere = [_whose(name) for name in settings if name not in part.model_fields]
        raise ConfigError("; ".join(filter(None, [str(error), *elsewhere]))) from error


def _whose(setting: str) -> str:
    """Which strategies have a setting that the chosen one has not, as part of an error; empty is none."""
    found = []
    for name in STRATEGIES.names():
        with suppress(ConfigError):  # a package that can't be imported has none that could be named
            if setting in STRATEGIES.get(name).model_fields:
                found.append(name)
    return f"{setting} is of {', '.join(found)}" if found else ""


def build_strategy(config: SearchConfig) -> Strategy:
    """What `strategy.name` and its settings ask for, over the config's space; raises as `strategy_settings`."""
    return _built(strategy_settings(config.strategy), config)


def own_config(config: Config, hyperparameters: Hyperparameters) -> Config:
    """A search's settings with the strategy's numbers that are an individual's own, if proposals gave it any."""
    own = hyperparameters.strategy
    if not own:
        return config
    return config.model_copy(update={"strategy": strategy_settings(config.strategy).model_copy(update=own)})


def _built(settings: StrategySettings, config: SearchConfig) -> Strategy:
    try:
        strategy: object = settings.build(config.space.search_space())
    except Exception as error:  # a strategy may be anybody's code
        raise ConfigError(f"strategy.name: strategy {settings.name!r} can't be built ({named(error)})") from error
    if not isinstance(strategy, Strategy):
        kind = type(strategy).__name__
        raise ConfigError(f"strategy.name: strategy {settings.name!r} builds a {kind}: allowed is a Strategy")
    return strategy


def is_second_order(settings: StrategySettings) -> bool:
    """Whether a strategy of these settings takes its gradients at weights a step ahead, which it holds beside w."""
    return getattr(settings, "order", "first") == "second"


def check_strategy(config: SearchConfig) -> StrategySettings:
    """The strategy's settings; ConfigError as `strategy_settings`, or if it can't do with the search's stages."""
    settings = strategy_settings(config.strategy)
    strategy = _built(settings, config)
    if config.levels == "single" and is_second_order(settings):
        raise ConfigError("strategy.order is second and levels single: allowed is first, or levels bilevel")
    for index, stage in enumerate(config.stages):
        spec = strategy.supernet_spec(StagePlace(index, len(config.stages), stage))
        try:
            spec.check_channels(stage.channels)
        except ConfigError as error:
            raise ConfigError(f"stages.{index}.channels: {error}") from error
    _check_proposed(settings, config)
    return settings


def _check_proposed(settings: StrategySettings, config: SearchConfig) -> None:
    """ConfigError if proposals range over what is no number of the strategy, or beyond what it may be."""
    asked, stack = config.proposals.strategy, config.runtime.stack
    numbers = settings.numbers
    for name, limits in asked.items():
        path = f"proposals.strategy.{name}"
        if name not in numbers:
            what = f"fractional number of strategy {settings.name!r} with an effect here:"
            raise ConfigError(f"proposals.strategy: {unknown_name(what, name, numbers or ['none'])}")
        for end in ("low", "high"):
            try:
                parse_config(type(settings), settings.model_dump() | {name: getattr(limits, end)}, "strategy")
            except ConfigError as error:
                raise ConfigError(f"{path}.{end}: {error}") from error
    if asked and stack not in ("auto", 1):
        raise ConfigError(
            f"runtime.stack is {stack} and proposals.strategy ranges over {', '.join(asked)}: individuals that differ "
            "in a strategy's number are not stacked; allowed are 1 and auto"
        )
