"""The strategy, and the ranges that proposals draw an individual's hyperparameters from, as settings."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from medarts_ops.hyperparameters import STRATEGY, HyperparameterName
from medarts_ops.settings import MAX_ROUNDS, NamedSettings, Settings, setting


class StrategyConfig(NamedSettings):
    """How α is improved within one individual: a name, and settings that the strategy of that name knows.

    Read from a file or a journal it holds whatever was given; `strategy_settings` makes the strategy's own of it.
    """

    model_config = ConfigDict(extra="allow")

    name: str = setting("darts", "paper", "registered strategy")

    def __eq__(self, other: object) -> bool:
        # As it was recorded, or as the strategy's own settings: what counts is what it says.
        return isinstance(other, StrategyConfig) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


class RangeConfig(Settings):
    """A log-uniform range of one hyperparameter."""

    low: float = Field(gt=0, description="lower end")
    high: float = Field(gt=0, description="upper end")

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class ProposalsConfig(Settings):
    """Optuna's part in the first stage: hyperparameters of the initial individuals."""

    added_later = frozenset({"strategy"})

    space: dict[HyperparameterName, RangeConfig] = setting(
        {}, "paper", "log-uniform ranges; empty is the paper's reading: one Θ for all, only seeds differ"
    )
    strategy: dict[str, RangeConfig] = setting(
        {}, "ours", "the same of the strategy's own numbers by name; who differs in one is not stacked with others"
    )
    generations: int = setting(1, "ours", "rounds of proposals; NSGA-II breeds from the second on", ge=1, le=MAX_ROUNDS)
    study: str | None = setting(None, "ours", "name of a study shared with other searches; empty is the search's own")

    @property
    def ranges(self) -> dict[str, RangeConfig]:
        """All ranges by the names that hyperparameters have: those of the strategy's numbers are dotted."""
        return {**self.space, **{f"{STRATEGY}{name}": limits for name, limits in self.strategy.items()}}
