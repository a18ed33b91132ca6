"""The file of a sweep: a `--config` file that also says what is varied, with which seeds, and what is evaluated."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any, NamedTuple

from medarts_ops.configs.presets import SettingsFile, parse_parts, read_yaml_file
from medarts_ops.configs.seed_list import parse_seeds
from medarts_ops.configs.vary import checked_values
from medarts_ops.errors import ConfigError

VARY, SEEDS, EVALUATE_FOUND = "vary", "seeds", "evaluate_found"


class SweepFile(NamedTuple):
    """What a sweep's file says; `seeds` are None where it names none."""

    settings: SettingsFile
    vary: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...] | None
    evaluate_found: bool


def read_sweep_file(path: Path) -> SweepFile:
    """What a sweep's file says.

    Raises:
        ConfigError: it can't be read, is no YAML, or a part of it is unknown or of the wrong kind.
    """
    return parse_sweep_file(read_yaml_file(path, "sweep file"), f"sweep file {path.name}")


def parse_sweep_file(text: str, source: str) -> SweepFile:
    """The parts of a sweep file's text; `source` is what errors call it, which are those of `read_sweep_file`."""
    settings, more = parse_parts(text, source, (VARY, SEEDS, EVALUATE_FOUND))
    vary = more.get(VARY) or {}
    if not isinstance(vary, dict):
        raise ConfigError(
            f"{source}: vary is {reprlib.repr(vary)}, allowed is a mapping of paths to lists, such as "
            "strategy.order: [first, second]"
        )
    evaluate_found = more.get(EVALUATE_FOUND, False)
    if not isinstance(evaluate_found, bool):
        raise ConfigError(f"{source}: evaluate_found is {reprlib.repr(evaluate_found)}, allowed is true or false")
    seeds = more.get(SEEDS)
    return SweepFile(
        settings,
        {path: checked_values(path, values, f"{source}: vary") for path, values in vary.items()},
        None if seeds is None else parse_seeds(seeds, f"{source}: seeds"),
        evaluate_found,
    )
