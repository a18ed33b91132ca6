"""What a sweep varies: settings with the values that each takes, and the grid of all their combinations."""

from __future__ import annotations

import itertools
import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from medarts_ops.configs.layers import MAX_PATH, is_path
from medarts_ops.configs.presets import Section
from medarts_ops.configs.yaml_text import parse_yaml
from medarts_ops.errors import ConfigError
from medarts_ops.experiments.network import distinct_names

EVALUATION_PREFIX = "evaluate."
"""Paths that begin so are of the evaluation of what a search found."""

PRESET = "preset"
"""The one path that is no setting: the preset that lies below all settings."""

MAX_POINTS = 1000
"""Combinations of one grid."""

LONGEST_SUBJECT = 100


class Axis(NamedTuple):
    """A setting that is varied: its dotted `path` in the `section` of settings that it belongs to, and its values."""

    section: Section
    path: str
    values: tuple[Any, ...]
    shown: str

    @property
    def last(self) -> str:
        """The path's last word that is no number."""
        return next((word for word in reversed(self.path.split(".")) if not word.isdigit()), self.path)


class Point(NamedTuple):
    """One combination of values: `values` in the order of the axes; `name` for jobs and `subject` for people."""

    name: str
    subject: str
    values: tuple[Any, ...]


def parse_vary(text: str) -> tuple[str, tuple[Any, ...]]:
    """Path and values of `dotted.path=V1,V2`; each value is YAML, so commas inside brackets part none.

    Raises:
        ConfigError: there is no `=`, the path is none, a value is no YAML, or there is no value.
    """
    path, equals, raw = text.partition("=")
    path = path.strip()
    if not equals:
        raise ConfigError(
            f"--vary {text[:MAX_PATH]!r} has no values: allowed is PATH=V1,V2, such as strategy.order=first,second"
        )
    _check_path(path, "--vary")
    values = parse_yaml(f"[{raw}]", f"the values of --vary {path}")
    return path, checked_values(path, values, "--vary")


def checked_values(path: str, values: Any, source: str) -> tuple[Any, ...]:
    """The values that a setting takes; `source` is what errors call their place.

    Raises:
        ConfigError: no path, no list, or an empty one.
    """
    _check_path(path, source)
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{source} {path} has no list of values, got {reprlib.repr(values)}: give one value or more")
    return tuple(values)


def axes_of(varied: Mapping[str, tuple[Any, ...]], section: Section, *, with_evaluation: bool) -> tuple[Axis, ...]:
    """The axes of a grid of searches or of evaluations alone (`section`), in their order.

    `with_evaluation` says whether what a search found is evaluated, too.

    Raises:
        ConfigError: a path of the evaluation where there is none, the seed, or a path that is above another.
    """
    axes = []
    for path, values in varied.items():
        of_evaluation = path.startswith(EVALUATION_PREFIX)
        if of_evaluation and section == "search" and not with_evaluation:
            raise ConfigError(f"--vary {path} is of the evaluation, and nothing is evaluated: add --evaluate")
        inner = path.removeprefix(EVALUATION_PREFIX)
        if inner == "seed":
            raise ConfigError("--vary seed: every combination is trained with the same seeds; give them by --seeds")
        if inner == PRESET and of_evaluation and section == "search":
            raise ConfigError(f"--vary {path}: a search and its evaluation have one preset; vary it by --vary {PRESET}")
        axes.append(Axis("evaluate" if of_evaluation else section, inner, values, path))
    for axis, other in itertools.combinations(axes, 2):
        if axis.section == other.section and overlap(axis.path, other.path):
            raise ConfigError(f"--vary {axis.shown} and --vary {other.shown} are about the same setting: give one")
    return tuple(axes)


def check_nothing_is_set_twice(axes: Sequence[Axis], given: Mapping[Section, Iterable[tuple[str, str]]]) -> None:
    """Refuse, by a ConfigError, a setting that is varied and given, too; `given` are paths, each with who gave it."""
    for axis in axes:
        for path, source in given.get(axis.section, ()):
            if overlap(axis.path, path):
                raise ConfigError(f"{axis.shown} is varied, and {source} sets {path}: give one of the two")


def overlap(path: str, other: str) -> bool:
    """Whether two paths are of one setting, or one is above the other."""
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def grid(axes: Sequence[Axis], usual: str = "as-given") -> tuple[Point, ...]:
    """All combinations of the axes' values; the last axis varies first. Without an axis it is one point, `usual`.

    Raises:
        ConfigError: more than `MAX_POINTS`.
    """
    n_points = 1
    for axis in axes:
        n_points *= len(axis.values)
    if n_points > MAX_POINTS:
        raise ConfigError(f"--vary asks for {n_points:,} combinations: allowed are {MAX_POINTS:,}; vary less at a time")
    if not axes:
        return (Point(usual, usual.replace("-", " "), ()),)
    lasts = [axis.last for axis in axes]
    words = [axis.shown if lasts.count(axis.last) > 1 else axis.last for axis in axes]
    combinations = list(itertools.product(*(axis.values for axis in axes)))
    names = distinct_names(
        [
            ".".join(f"{word}-{value_text(value)}" for word, value in zip(words, values, strict=True))
            for values in combinations
        ]
    )
    return tuple(Point(name, _subject(axes, values), values) for name, values in zip(names, combinations, strict=True))


def value_text(value: Any) -> str:
    """A value in a few words: a list its entries with commas, a group its values with names."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {value_text(each)}' for key, each in value.items())}}}"
    return json.dumps(value)


def assignment(axis: Axis, value: Any) -> str:
    """The value as `--set` takes it: JSON is YAML."""
    return f"{axis.path}={json.dumps(value, ensure_ascii=False)}"


def _subject(axes: Sequence[Axis], values: Sequence[Any]) -> str:
    text = ", ".join(f"{axis.shown}={value_text(value)}" for axis, value in zip(axes, values, strict=True))
    return text if len(text) <= LONGEST_SUBJECT else f"{text[:LONGEST_SUBJECT]}…"


def _check_path(path: str, source: str) -> None:
    if not is_path(path):
        raise ConfigError(f"{source} {path[:MAX_PATH]!r} is no path: allowed is dotted.path, such as strategy.order")
