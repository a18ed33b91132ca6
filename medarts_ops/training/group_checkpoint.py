"""A group's training on disk after each epoch, so that a killed process loses one epoch at most."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from medarts_ops.individual import TrainingTask
from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.training.bilevel import SearchTraining

_logger = logging.getLogger(__name__)


class GroupCheckpoint:
    """Saves and restores the training of one task; without a `checkpoint` in the task it does neither."""

    def __init__(self, task: TrainingTask) -> None:
        self._identity = task.identity
        self._path = task.checkpoint
        self._file = None if task.checkpoint is None else CheckpointFile(Path(task.checkpoint))

    def save(self, training: SearchTraining, epochs: int) -> None:
        """Put the state after `epochs` epochs on disk.

        Raises:
            SearchError: the disk is full or the folder can't be written.
        """
        if self._file is None:
            return
        buffer = io.BytesIO()
        torch.save({"identity": self._identity, "epochs": epochs, "state": training.state()}, buffer)
        self._file.write(buffer.getvalue())

    def restore(self, training: SearchTraining) -> int:
        """Bring a fresh training to where the newest usable checkpoint stands.

        A checkpoint of another task, or one that doesn't fit, is named in a warning and passed over.

        Returns:
            How many epochs are done; 0 if there is no checkpoint.

        Raises:
            SearchError: a newer release wrote the checkpoint.
        """
        for payload in [] if self._file is None else self._file.payloads():
            held = self._load(payload)
            if held is not None:
                training.load_state(held["state"])
                return int(held["epochs"])
        return 0

    def _load(self, payload: bytes) -> dict[str, Any] | None:
        try:
            # Tensors, numbers and text alone: nothing in the file is run.
            held = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            _logger.warning("checkpoint %s can't be read (%s); training starts before it", self._path, error)
            return None
        if not isinstance(held, dict) or held.get("identity") != self._identity:
            _logger.warning("checkpoint %s is of other individuals or settings; training starts before it", self._path)
            return None
        return held
