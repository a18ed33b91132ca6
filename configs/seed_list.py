"""The seeds of an experiment as people write them: `0-4`, `0,2,5`, `3`."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any

from medarts_ops.errors import ConfigError

MAX_SEEDS = 100
"""Of one experiment."""

MAX_SEED = 2**31 - 1

_PART = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?")


def parse_seeds(given: Any, source: str = "--seeds") -> tuple[int, ...]:
    """The seeds of a range `0-4`, both ends included, of a list `0,2,5`, of both, or of one number.

    A file may also have a list of numbers. `source` is what errors call it.

    Raises:
        ConfigError: what is neither, a range that falls, a seed that stands twice, or more than `MAX_SEEDS`.
    """
    is_list = isinstance(given, list) and all(isinstance(each, int | str) for each in given)
    text = ",".join(map(str, given)) if is_list else str(given)
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None or isinstance(given, bool):
            raise _refused(given, source, "allowed are a range such as 0-4, a list such as 0,2,5, or one number")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise _refused(given, source, f"{part.strip()} falls; write the lower seed first, as in 0-4")
        if last > MAX_SEED:
            raise _refused(given, source, f"the largest seed that is allowed is {MAX_SEED}")
        if len(found) + last - first + 1 > MAX_SEEDS:
            raise _refused(given, source, f"allowed are {MAX_SEEDS} seeds at most")
        found += range(first, last + 1)
    twice = next((seed for seed in found if found.count(seed) > 1), None)
    if twice is not None:
        raise _refused(given, source, f"seed {twice} stands there twice; each is trained once")
    return tuple(found)


def check_no_seed_is_set(changed_by: Mapping[str, str]) -> None:
    """Refuse, by a ConfigError, settings that bring a seed of their own; `changed_by` is who set what."""
    if changed_by.get("seed") in ("--set", "config file"):
        raise ConfigError(
            f"seed is set by {changed_by['seed']}: an experiment trains everything with the same several seeds; drop "
            "it, and give them by --seeds"
        )


def _refused(given: Any, source: str, why: str) -> ConfigError:
    return ConfigError(f"{source} is {reprlib.repr(given)}: {why}")
