"""Where running code comes from: the git state of the current folder, and installed versions, a driver's too."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version


def git_commit() -> str | None:
    """The commit of the current folder; None without git, a repository or a commit."""
    return _git("rev-parse", "HEAD")


def git_branch() -> str | None:
    """Its branch, `HEAD` where none is checked out; None as for `git_commit`."""
    return _git("rev-parse", "--abbrev-ref", "HEAD")


def git_is_dirty() -> bool | None:
    """Whether tracked files differ from the commit; files that git does not know, such as results, do not count."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return None if changes is None else changes != ""


def installed_version(distribution: str) -> str | None:
    """A distribution's version, without importing it; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def nvidia_driver_version() -> str | None:
    """As nvidia-smi has it: torch knows only which CUDA the driver is good for. None where it can't be found out."""
    shown = _printed(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], seconds=10) or ""
    return next(iter(shown.split()), None)


def _git(*arguments: str) -> str | None:
    # A look may neither lock the repository nor start the program that its settings name as a file monitor.
    return _printed(["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments], seconds=5)


def _printed(command: Sequence[str], seconds: int) -> str | None:
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):  # no such program, or it found nothing, such as no repository
        return None
    return finished.stdout.strip()
