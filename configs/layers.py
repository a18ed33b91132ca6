"""Layers of plain settings, later ones over earlier ones, and single settings by dotted path."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from medarts_ops.configs.yaml_text import MAX_DEPTH, parse_yaml
from medarts_ops.errors import ConfigError

MAX_PATH = 200
"""Characters of a dotted path."""


class Layer(NamedTuple):
    """Settings and where they come from: `settings` is a nested mapping, `source` a short name for people."""

    source: str
    settings: Mapping[str, Any]


WHOLE = frozenset({"proposals.space", "proposals.strategy"})
"""Paths of mappings that are one setting: a layer that gives one gives all of it. Others are groups of settings."""


def deep_merge(lower: Mapping[str, Any], upper: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """`lower` with `upper` laid over it; neither is changed. `path` is where both are.

    Mappings merge key by key, but for those in `WHOLE`; these, an empty mapping, a list or a single value in `upper`
    replace what was there.
    """
    laid = {key: _laid_over(lower.get(key), value, f"{path}.{key}" if path else key) for key, value in upper.items()}
    return {**copy.deepcopy(dict(lower)), **laid}


def nested(path: str, value: Any) -> dict[str, Any]:
    """`{"a": {"b": value}}` for the path `a.b`."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


def replacements(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of all that `settings` replaces when merged: single values, lists, empty mappings."""
    if not isinstance(settings, Mapping) or not settings:
        yield path, settings
        return
    for key, value in settings.items():
        yield from replacements(value, f"{path}.{key}" if path else str(key))


def leaves(settings: Any, path: str) -> Iterator[str]:
    """The dotted path of every single setting in `settings`, those in a list of mappings included."""
    for place, value in replacements(settings, path):
        if isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
            for index, entry in enumerate(value):
                yield from leaves(entry, f"{place}.{index}")
        else:
            yield place


def is_path(text: str) -> bool:
    """Whether it has a dotted path's form: no part is empty, and a config could have as many."""
    return len(text) <= MAX_PATH and text.isprintable() and all(text.split(".")) and text.count(".") < MAX_DEPTH


def parse_assignment(text: str) -> tuple[str, Any]:
    """Path and value of `dotted.path=value`, whose value is YAML.

    Raises:
        ConfigError: there is no `=`, a part of the path is empty, the path is beyond what a config can have, or the
            value is no YAML.
    """
    path, equals, raw = text.partition("=")
    path = path.strip()
    if not equals or not is_path(path):
        raise ConfigError(
            f"--set {text[:MAX_PATH]!r} is no assignment: allowed is dotted.path=value, such as stages.0.epochs=2"
        )
    return path, parse_yaml(raw, f"the value of --set {path}")


def with_setting(settings: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`settings` with `value` laid over what is at `path`; a number in `path` is an index into a list, from 0.

    Missing mappings on the way are made: whether the setting exists is for the config to say.

    Raises:
        ConfigError: an index is no number or out of range, or a part of the path is a single value.
    """
    changed = copy.deepcopy(dict(settings))
    *way, last = path.split(".")
    place: Any = changed
    for depth, part in enumerate(way):
        key = _key(place, part, ".".join(way[:depth]), path)
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    key = _key(place, last, ".".join(way), path)
    place[key] = _laid_over(place.get(key) if isinstance(place, dict) else place[key], value, path)
    return changed


def _laid_over(below: Any, value: Any, path: str) -> Any:
    if isinstance(value, Mapping) and value and isinstance(below, Mapping) and path not in WHOLE:
        return deep_merge(below, value, path)
    return copy.deepcopy(value)


def _key(place: Any, part: str, name: str, path: str) -> Any:
    """What `part` of `path` means in `place`, whose own path is `name`: a mapping's key or a list's index."""
    if isinstance(place, dict):
        return part
    if not isinstance(place, list):
        raise ConfigError(
            f"{path}: {name} is a single setting (now {reprlib.repr(place)}) and has no parts; set {name} itself"
        )
    if not place:
        raise ConfigError(f"{path}: {name} is empty, so no index is allowed; set {name} as a whole")
    if not part.isdecimal() or int(part) >= len(place):
        raise ConfigError(f"{path}: {name} is a list, got index {part!r}, allowed are 0 to {len(place) - 1}")
    return int(part)
