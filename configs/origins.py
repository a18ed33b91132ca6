"""Every setting of a config with its value, who set it, and where its default comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from medarts_ops.config import EvaluateConfig, SearchConfig

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
        SettingRow(path, value, changed_by.get(path, DEFAULT), _origin(field), field.description or "")
        for path, value, field in _settings(config, "")
    ]


def _settings(model: BaseModel, path: str) -> Iterator[tuple[str, Any, FieldInfo]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        place = f"{path}{name}"
        groups = _groups(value)
        if groups:
            for part, group in groups:
                yield from _settings(group, f"{place}.{part}." if part else f"{place}.")
        else:
            yield place, value, field


def _groups(value: Any) -> list[tuple[str, BaseModel]]:
    if isinstance(value, BaseModel):
        return [("", value)]
    if isinstance(value, Mapping):
        entries = [(str(key), entry) for key, entry in value.items()]
    elif isinstance(value, tuple):
        entries = [(str(index), entry) for index, entry in enumerate(value)]
    else:
        return []
    return [(key, entry) for key, entry in entries if isinstance(entry, BaseModel)]


def _origin(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("origin", "")) if isinstance(extra, dict) else ""
