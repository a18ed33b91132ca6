"""What a process that was killed while it sent an artifact left of it in a local folder."""

from __future__ import annotations

from pathlib import Path

HALF_SENT = ".artifact.uploading.*"
"""How MLflow names a file beside an artifact until it is whole and gets the artifact's name."""


def remove_half_sent(artifacts: Path) -> None:
    """Remove such files of a run, by the folder of its artifacts; nobody else writes that run meanwhile."""
    for file in artifacts.rglob(HALF_SENT):
        file.unlink(missing_ok=True)
