"""Who ran what from where: the tags that MLflow's fluent interface would set, and the versions."""

from __future__ import annotations

import getpass
import os

from medarts_ops.provenance import git_branch, git_commit, installed_version
from medarts_ops.tracking.vocabulary import TORCH_VERSION_TAG, VERSION_TAG


def source_tags() -> dict[str, str]:
    """User, git commit of the current folder, and versions of medarts-ops and torch; unknown ones are left out.

    A run that a client creates carries none of these, and a console script's commit is never found by MLflow.
    """
    found = {
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git_commit(),
        "mlflow.source.git.branch": git_branch(),
        VERSION_TAG: installed_version("medarts-ops"),
        TORCH_VERSION_TAG: installed_version("torch"),
    }
    return {key: value for key, value in found.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return str(os.getuid()) if os.name == "posix" else ""
