"""Numbers as people read them: shares, counts, times."""

from __future__ import annotations

import math
import re

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR

_UNITS = {"d": SECONDS_PER_DAY, "h": SECONDS_PER_HOUR, "m(?:in)?": 60.0, "s": 1.0}
_DURATION = re.compile("".join(rf"(?:(\d+(?:\.\d+)?) *{unit} *)?" for unit in _UNITS), re.ASCII)

BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB")


def percent(share: float) -> str:
    """`61.25 %` for 0.6125."""
    return f"{100 * share:.2f} %"


def millions(count: float) -> str:
    """`3.35 M` for 3,349,342; below a hundred thousand the number itself."""
    return f"{count / 1e6:.2f} M" if abs(count) >= 1e5 else f"{count:,.0f}"


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `5 epochs`, `2 searches`."""
    ending = "es" if noun == "search" else "s"  # the one of our nouns that is not regular
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{ending}"


def distance(crowding: float) -> str:
    """A crowding distance; both ends of a front are infinitely far."""
    return f"{crowding:.3f}" if math.isfinite(crowding) else "∞"


def byte_size(n_bytes: float) -> str:
    """`12 bytes`, `3.4 MiB`, `512 MiB`, `20.1 GiB`: to three digits, and a GiB from 1,000 of them on."""
    power = min(max(0, int(n_bytes).bit_length() - 1) // 10, len(BYTE_UNITS) - 1)
    count = n_bytes / 1024**power
    return f"{f'{count:,.0f}' if count >= 100 else f'{count:.3g}'} {BYTE_UNITS[power]}"


def hours(seconds: float) -> str:
    """`1.25 h`, with enough digits that a short time is not 0."""
    return f"{seconds / SECONDS_PER_HOUR:.3g} h"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s` or `5 h 12 min`, rounded to the smaller unit shown; infinite is `unknown time`."""
    if not math.isfinite(seconds):
        return "unknown time"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < SECONDS_PER_HOUR:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def seconds_of(text: str) -> float:
    """7200.0 for `2h`; so `90s`, `45m`, `1h30m` or `2d`, and what `duration` writes, the largest unit first.

    Raises:
        ValueError: it is no such time, none at all, or without end.
    """
    found = _DURATION.fullmatch(text.strip())
    counts = zip(found.groups(), _UNITS.values(), strict=True) if found is not None else ()
    seconds = sum(float(count) * unit for count, unit in counts if count)
    if not 0 < seconds < math.inf:
        raise ValueError("allowed is a time above 0 with its units, such as 90s, 45m, 2h, 1h30m or 2d")
    return seconds
