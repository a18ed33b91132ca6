"""Seeds as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from medarts_ops.configs.seed_list import MAX_SEEDS, check_no_seed_is_set, parse_seeds
from medarts_ops.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ("0-4", (0, 1, 2, 3, 4)),
        ("0,2,5", (0, 2, 5)),
        ("5, 0-2", (5, 0, 1, 2)),
        ("3", (3,)),
        ("7-7", (7,)),
        (3, (3,)),
        ([0, 2], (0, 2)),
        (["0-1", 4], (0, 1, 4)),
    ],
)
def test_a_range_a_list_and_a_number_are_seeds(given: Any, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(given) == seeds


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("4-0", "4-0 falls; write the lower seed first"),
        ("0,0-1", "seed 0 stands there twice"),
        ("", "allowed are a range such as 0-4"),
        ("one", "allowed are a range such as 0-4"),
        ("-1", "allowed are a range such as 0-4"),
        ("0..4", "allowed are a range such as 0-4"),
        ("1,,2", "allowed are a range such as 0-4"),
        ("0-999999999", f"allowed are {MAX_SEEDS} seeds at most"),
        ("9999999999", "the largest seed that is allowed is 2147483647"),
        ("0-99999999999999999999", "allowed are a range such as 0-4"),
        (True, "allowed are a range such as 0-4"),
        ([], "allowed are a range such as 0-4"),
        ([1.5], "allowed are a range such as 0-4"),
        ({"a": 1}, "allowed are a range such as 0-4"),
    ],
)
def test_what_is_no_list_of_seeds_is_one_line(given: Any, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_seeds(given, "seeds of mine")
    assert str(refused.value).startswith("seeds of mine is ") and why in str(refused.value)


def test_a_seed_among_the_settings_is_sent_to_its_option() -> None:
    check_no_seed_is_set({"seed": "preset digits"})
    with pytest.raises(ConfigError, match="seed is set by --set.*give them by --seeds"):
        check_no_seed_is_set({"seed": "--set"})
