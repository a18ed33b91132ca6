"""The few kinds of error a user can meet, and how an unknown name is reported.

Every message says what is wrong, what was given, what is allowed and what to do. They are caught
once, in `cli/main.py`, and shown as one line; `--debug` shows the traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

FailureCause = Literal["diverged", "crashed", "out_of_memory"]  # what ended a training

LONGEST_NAME = 100  # characters of an unknown name that a message repeats: it may come from anybody's file


class MedartsError(Exception):
    """Something a user can mend; `exit_code` is the process's exit status."""

    exit_code = 1


class ConfigError(MedartsError):
    """A setting is unknown, out of range or contradicts another one."""

    exit_code = 2


class GenotypeError(MedartsError):
    """A genotype can't be read or describes an impossible cell."""


class DataError(MedartsError):
    """The images can't be read or do not suffice for what was asked."""


class StoreError(MedartsError):
    """The tracking store or the study storage can't be used."""


class RunError(MedartsError):
    """A run is missing from the store or is of the wrong kind."""


class SearchError(MedartsError):
    """A search can't go on, for example because a whole stage diverged."""


class NoSurvivors(SearchError):
    """So many individuals of a stage failed that the search is over."""


class TrainingDiverged(MedartsError):
    """A loss or an α became NaN or infinite; names where."""


class ExportError(MedartsError):
    """A network or a report can't be written, or a file is no network of ours."""


def unknown_name(kind: str, got: str, allowed: Iterable[str]) -> str:
    """One line for a name that is not in a registry, with the near miss if there is one; a long name is cut."""
    names = sorted(allowed)
    got = got if len(got) <= LONGEST_NAME else f"{got[:LONGEST_NAME]}…"
    near = difflib.get_close_matches(got, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {got!r}: allowed are {', '.join(names)}{hint}"


@contextmanager
def os_errors_as(kind: type[MedartsError], wrong: str, remedy: str) -> Iterator[None]:
    """What the operating system refuses inside is an error of that kind: what is `wrong`, its reason, the remedy."""
    try:
        yield
    except OSError as error:
        raise kind(f"{wrong}: {error.strerror or error}; {remedy}") from error


def check_is_utf8(text: str, what: str, kind: type[MedartsError]) -> None:
    """Refuse the name of a file or folder that is no UTF-8: journals and stores are text, and can't keep it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise kind(f"{what} {text!r} is not in UTF-8, as journals and stores keep their text: rename it") from error


def named(error: BaseException) -> str:
    """An error of anybody's code in one line: its type and what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
