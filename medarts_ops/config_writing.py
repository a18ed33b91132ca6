"""A config written out: setting by setting with the origin of each default, or as a file that `--config` takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from medarts_ops.config import EvaluateConfig, SearchConfig


class Setting(NamedTuple):
    """One setting.

    Attributes:
        path: dotted path, as `--set` takes it.
        value: its value in this config.
        origin: where the model's default comes from: paper, DARTS or ours; empty where there is no default.
        description: one sentence.
    """

    path: str
    value: Any
    origin: str
    description: str


def settings_of(config: SearchConfig | EvaluateConfig) -> tuple[Setting, ...]:
    """All settings of `config` in the model's order, groups and lists of groups unfolded."""
    return tuple(
        Setting(path, value, _origin(field), field.description or "") for path, value, field in _fields(config, "")
    )


def settings_file(config: SearchConfig | EvaluateConfig) -> str:
    """The config as a file that `--config` takes and that gives the same config again."""
    section = "search" if isinstance(config, SearchConfig) else "evaluate"
    content = {"extends": config.preset, section: config.model_dump(mode="json", exclude={"preset"})}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def shown(value: Any) -> str:
    """A setting's value for people: none is `-`, a list its entries with spaces between."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _fields(model: BaseModel, path: str) -> Iterator[tuple[str, Any, FieldInfo]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        place = f"{path}{name}"
        groups = _groups(value)
        if groups:
            for part, group in groups:
                yield from _fields(group, f"{place}.{part}." if part else f"{place}.")
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
