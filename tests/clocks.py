"""Results without what clocks measured, to be compared."""

from __future__ import annotations

from typing import Any


def without_clocks(value: Any) -> Any:
    """The same, but for what was measured in seconds."""
    if isinstance(value, dict):
        timed = ("seconds", "images_per_second", "search_id")
        return {key: without_clocks(each) for key, each in value.items() if key not in timed}
    if isinstance(value, list):
        return [without_clocks(each) for each in value]
    return value
