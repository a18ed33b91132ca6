"""A config written out: setting by setting with the origin of each default, or as a file that `--config` takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from medarts_ops.config import EvaluateConfig, SearchConfig


class Setting(NamedTuple):
    """A setting with the path that `--set` takes; `origin` of the default: paper, DARTS or ours, empty without one."""

    path: str
    value: Any
    origin: str
    description: str


def settings_of(config: SearchConfig | EvaluateConfig) -> tuple[Setting, ...]:
    """All settings of `config` in the model's order, groups and lists of groups unfolded."""
    return tuple(_settings(config, ""))


def settings_file(config: SearchConfig | EvaluateConfig, evaluate: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The config as a file that `--config` takes and that gives the same config again.

    `evaluate` are settings of evaluations to stand beside a search's.
    """
    section = "search" if isinstance(config, SearchConfig) else "evaluate"
    content = {"extends": config.preset, section: config.model_dump(mode="json", exclude={"preset"})}
    content |= {"evaluate": dict(evaluate)} if evaluate else {}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def shown(value: Any) -> str:
    """A setting's value for people: none is `-`, a list its entries with spaces between."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _settings(model: BaseModel, path: str) -> Iterator[Setting]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        groups = _groups(value)
        for place, group in groups:
            yield from _settings(group, f"{path}{name}{place}.")
        if not groups:
            extra = field.json_schema_extra
            origin = str(extra.get("origin", "")) if isinstance(extra, dict) else ""
            yield Setting(f"{path}{name}", value, origin, field.description or "")


def _groups(value: Any) -> list[tuple[str, BaseModel]]:
    """The groups in a setting's value, each with its place in it."""
    if isinstance(value, BaseModel):
        return [("", value)]
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, tuple) else ()
    return [(f".{place}", entry) for place, entry in entries if isinstance(entry, BaseModel)]
