"""What can't be read is said beside the rest, not in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from medarts_ops.errors import MedartsError

T = TypeVar("T")


def unless_unreadable(problems: list[str], read: Callable[[], T]) -> T | None:
    """What `read` gives; None where it can't be read, and `problems` gets the line that says why."""
    try:
        return read()
    except MedartsError as error:
        line = " ".join(str(error).split())
        if line not in problems:
            problems.append(line)
        return None
