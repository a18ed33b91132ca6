"""A training's state on disk after each epoch, so that a killed process loses one epoch at most."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from medarts_ops.journal.checkpoint import CheckpointFile

_logger = logging.getLogger(__name__)


class Resumable(Protocol):
    """A training whose state is tensors, numbers and text."""

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Become what `state` was taken of."""
        ...


class _Held(NamedTuple):
    epochs: int
    state: dict[str, Any]


class TrainingCheckpoint:
    """Saves and restores one training.

    Args:
        path: the file; None saves and restores nothing.
        identity: what the state belongs to; that of another identity is not restored.
    """

    def __init__(self, path: Path | None, identity: str) -> None:
        self._path, self._identity = path, identity
        self._file = None if path is None else CheckpointFile(path)

    def save(self, training: Resumable, epochs: int) -> None:
        """Put the state after `epochs` epochs on disk.

        Raises:
            SearchError: the disk is full or the folder can't be written.
        """
        if self._file is None:
            return
        buffer = io.BytesIO()
        torch.save({"identity": self._identity, "epochs": epochs, "state": training.state()}, buffer)
        self._file.write(buffer.getvalue())

    def restore(self, training: Resumable) -> int:
        """Bring a fresh training to where the newest usable checkpoint stands.

        One of another identity, or that can't be read, is named in a warning and passed over.

        Returns:
            How many epochs are done; 0 if there is no checkpoint.

        Raises:
            SearchError: a newer release wrote the checkpoint.
        """
        for payload in [] if self._file is None else self._file.payloads():
            held = self._load(payload)
            if held is not None:
                training.load_state(held.state)
                return held.epochs
        return 0

    def _load(self, payload: bytes) -> _Held | None:
        try:
            # Tensors, numbers and text alone: nothing in the file is run.
            held = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            _logger.warning("checkpoint %s can't be read (%s); training starts before it", self._path, error)
            return None
        if not isinstance(held, dict) or held.get("identity") != self._identity:
            _logger.warning("checkpoint %s is of other settings; training starts before it", self._path)
            return None
        return _Held(int(held["epochs"]), held["state"])
