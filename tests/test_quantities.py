"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from medarts_ops.quantities import byte_size, counted, distance, duration, hours, millions, seconds_of


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (18720, "5 h 12 min"),
        (90000, "25 h 0 min"),
        (math.inf, "unknown time"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_short_time_in_hours_is_not_zero() -> None:
    assert (hours(9), hours(4500)) == ("0.0025 h", "1.25 h")


def test_counts_are_in_millions_unless_small() -> None:
    assert (millions(3_349_342), millions(12_345)) == ("3.35 M", "12,345")


def test_the_ends_of_a_front_are_infinitely_far() -> None:
    assert (distance(math.inf), distance(0.5)) == ("∞", "0.500")


def test_one_is_no_plural() -> None:
    assert (counted(1, "epoch"), counted(0, "epoch")) == ("1 epoch", "0 epochs")


def test_several_searches_are_no_searchs() -> None:
    assert (counted(1, "search"), counted(2, "search")) == ("1 search", "2 searches")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1536, "1.5 KiB"),
        (99.96 * 2**20, "100 MiB"),
        (2**30 - 1, "1,024 MiB"),
        (5 * 2**30, "5 GiB"),
        (1500.4 * 2**30, "1,500 GiB"),
    ],
)
def test_a_size_is_told_in_its_unit_to_three_digits(count: float, text: str) -> None:
    assert byte_size(count) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45m", 2700), ("2h", 7200), ("1h30m", 5400), ("1 h 30 min", 5400), ("2d", 172_800), ("1.5h", 5400)],
)
def test_a_time_is_read_in_the_units_that_people_write(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "2x", "h", "-2h", "30m1h", "1h 2", "1e3s", "inf", "٣h", "0s", "0h0m", "9" * 400 + "h"]
)
def test_a_time_without_units_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 45m, 2h, 1h30m or 2d"):
        seconds_of(text)


def test_a_time_that_was_written_is_read_again() -> None:
    assert [seconds_of(duration(seconds)) for seconds in (42, 200, 18720)] == [42, 200, 18720]
