"""Results without what clocks measured, to be compared; and a clock that goes as a test says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest


def without_clocks(value: Any) -> Any:
    """The same, but for what was measured in seconds."""
    if isinstance(value, dict):
        timed = ("seconds", "images_per_second", "search_id")
        return {key: without_clocks(each) for key, each in value.items() if key not in timed}
    if isinstance(value, list):
        return [without_clocks(each) for each in value]
    return value


@dataclass
class StandInClock:
    """What deadlines and time limits read instead of the machine's clock."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


def stand_in_clock(monkeypatch: pytest.MonkeyPatch) -> StandInClock:
    """A clock that stands still until a test moves it."""
    clock = StandInClock()
    for module in ("medarts_ops.deadline", "medarts_ops.training.time_limit"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock
