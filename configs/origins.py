"""Every setting of a config with its value, who set it, and where its default comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_writing import settings_of


class SettingRow(NamedTuple):
    """A `Setting` of a config, and `changed_by`: the layer that set it (preset …, option, --set, …), or `default`."""

    path: str
    value: Any
    changed_by: str
    origin: str
    description: str


def resolved_table(config: SearchConfig | EvaluateConfig, changed_by: Mapping[str, str]) -> list[SettingRow]:
    """All settings of `config` in the model's order; `changed_by` is what resolving the config gave."""
    return [
        SettingRow(path, value, changed_by.get(path, "default"), origin, description)
        for path, value, origin, description in settings_of(config)
    ]
