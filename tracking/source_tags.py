"""Who ran what from where: the tags that MLflow's fluent interface would set, and the versions."""

from __future__ import annotations

import getpass
import os
import subprocess
from importlib.metadata import PackageNotFoundError, version

GIT_SECONDS = 5


def source_tags() -> dict[str, str]:
    """User, git commit of the current folder, and versions of medarts-ops and torch; unknown ones are left out.

    A run that a client creates carries none of these, and a console script's commit is never found by MLflow.
    """
    found = {
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _git("rev-parse", "HEAD"),
        "mlflow.source.git.branch": _git("rev-parse", "--abbrev-ref", "HEAD"),
        "medarts.version": _version("medarts-ops"),
        "medarts.torch_version": _version("torch"),
    }
    return {key: value for key, value in found.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return str(os.getuid()) if os.name == "posix" else ""


def _git(*arguments: str) -> str:
    try:
        finished = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):  # no git, no repository, no commit yet
        return ""
    return finished.stdout.strip()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
