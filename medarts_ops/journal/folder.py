"""The folder of one job, a search, an evaluation or an experiment, within the work directory."""

from __future__ import annotations

import re
import secrets
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from medarts_ops.errors import ConfigError, SearchError, os_errors_as
from medarts_ops.journal.lock import holder_of, is_at_work

LONGEST_JOB_NAME = 100
NAME_PATTERN = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{LONGEST_JOB_NAME - 1}}}")


def check_job_name(name: str) -> None:
    """Refuse, by a ConfigError, a name that can't be that of a folder, a run and a study alike."""
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"name is {name[:120]!r}: allowed are 1 to {LONGEST_JOB_NAME} letters, digits, '.', '_' and '-', "
            "the first a letter, digit or '_'"
        )


def check_name_is_free_in(work_dir: Path, name: str) -> None:
    """Refuse, before anything else is tried, a name that is not allowed (ConfigError) or taken there (SearchError)."""
    check_job_name(name)
    if (work_dir / name).exists():
        raise _taken(work_dir / name)


def fresh_name(verb: str, dataset: str) -> str:
    """A job's name: the time for people, and two random bytes for jobs that start in the same second on one store."""
    return f"{verb}-{dataset}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def create_job_folder(work_dir: Path, name: str) -> Path:
    """Make `<work_dir>/<name>`, and `work_dir` where it is missing; of two that race for a name, one wins.

    A SearchError if the name is taken, or the work directory can't be written.
    """
    check_job_name(name)
    folder = work_dir / name
    with using_work_dir(work_dir):
        work_dir.mkdir(parents=True, exist_ok=True)  # a file in its place is a FileExistsError
        try:
            folder.mkdir()
        except FileExistsError as error:
            raise _taken(folder) from error
    return folder


def _taken(folder: Path) -> SearchError:
    if is_at_work(folder):
        return SearchError(f"name {folder.name!r} is taken: it is at work in {holder_of(folder)}; choose another name")
    return SearchError(
        f"name {folder.name!r} is taken: {str(folder)!r} exists; choose another name, or remove that folder if it is "
        "of no use to you"
    )


def using_work_dir(work_dir: Path) -> AbstractContextManager[None]:
    """A SearchError for what the operating system refuses inside."""
    wrong = f"work directory {str(work_dir)!r} can't be used"
    return os_errors_as(SearchError, wrong, "name a folder that can be written")
