"""Every setting of a config with its value, who set it, and where its default comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_writing import settings_of

DEFAULT = "default"


class SettingRow(NamedTuple):
    """One setting.

    Attributes:
        path: dotted path, as `--set` takes it.
        value: its value in this config.
        changed_by: the layer that set it (preset …, config file, option, --set, …), or `default`.
        origin: where the model's default comes from: paper, DARTS or ours; empty where there is no default.
        description: one sentence.
    """

    path: str
    value: Any
    changed_by: str
    origin: str
    description: str


def resolved_table(config: SearchConfig | EvaluateConfig, changed_by: Mapping[str, str]) -> list[SettingRow]:
    """All settings of `config` in the model's order; `changed_by` is what resolving the config gave."""
    return [
        SettingRow(path, value, changed_by.get(path, DEFAULT), origin, description)
        for path, value, origin, description in settings_of(config)
    ]
