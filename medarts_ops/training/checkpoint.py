"""A training's state on disk after each epoch, so that a killed process loses one epoch at most."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from medarts_ops.errors import SearchError
from medarts_ops.training.time_limit import TimeLimit
from medarts_ops.training.workplace import TaskFiles

Record = TypeVar("Record")

_logger = logging.getLogger(__name__)


class Resumable(Protocol):
    """A training whose state is tensors, numbers and text."""

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs to go on from here."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Become what `state` was taken of: the same task, maybe in another process."""
        ...


class TrainingCheckpoint:
    """Saves and restores one training among `files`, at `path` (None: nothing), if a state has its `identity`."""

    def __init__(self, files: TaskFiles, path: str | None, identity: str) -> None:
        self._identity = identity
        self._file = None if path is None else files.states(path)

    def save(self, training: Resumable, epochs: int) -> None:
        """Put the state after `epochs` epochs on disk; a SearchError if that is full or the folder can't be written."""
        if self._file is None:
            return
        buffer = io.BytesIO()
        torch.save({"identity": self._identity, "epochs": epochs, "state": training.state()}, buffer)
        self._file.write(buffer.getvalue())

    def restore(self, training: Resumable) -> int:
        """Bring a fresh training to where the newest usable checkpoint stands; returns the epochs done, 0 without one.

        One of another identity, or that can't be read, is named in a warning and passed over. One of this identity
        whose state does not fit is not: going on from an earlier state would overwrite what another release can use.

        Raises:
            SearchError: a newer release wrote the checkpoint, or its state is not one of this training, which then
                must not be used.
        """
        held = next(self._usable(), None)
        if held is None:
            return 0
        path, epochs, state = held
        misfit = _misfit(epochs, 1, "epochs") or _misfit(state, training.state(), "state")
        if misfit or epochs < 1:
            raise _unfit(path, misfit or f"epochs is {epochs}, allowed are 1 and more")
        try:
            training.load_state(state)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a text or a tensor that only looks right leads to
            raise _unfit(path, _first_line(error)) from error
        _logger.info("training goes on after epoch %d of checkpoint %s", epochs, path)
        return int(epochs)

    def _usable(self) -> Iterator[tuple[Path, Any, Any]]:
        """Files of this identity with their epochs and states, the newest first."""
        for path, payload in () if self._file is None else self._file.payloads():
            try:
                # Tensors, numbers and text alone: nothing in the file is run.
                held = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            except MemoryError:
                raise
            except Exception as error:  # torch lets through whatever a foreign pickle makes it stumble over
                _logger.warning("checkpoint %s can't be read (%s); training starts before it", path, _first_line(error))
                continue
            identity = held.get("identity") if isinstance(held, dict) else None
            if isinstance(identity, str) and identity == self._identity:
                yield path, held.get("epochs"), held.get("state")
            else:
                _logger.warning("checkpoint %s is of other settings; training starts before it", path)


class EpochTraining(Resumable, Protocol[Record]):
    """A training that goes epoch by epoch, and keeps a record of each."""

    history: list[Record]

    def run_epoch(self, epoch: int) -> Record:
        """One more epoch, from 0."""
        ...


def epochs_of(
    training: EpochTraining[Record], checkpoint: TrainingCheckpoint, epochs: int, limit: TimeLimit
) -> Iterator[Record]:
    """The records of all epochs, in order: first those of the checkpoint, again, then new ones, each saved.

    They end early where `limit` says so.
    """
    done = checkpoint.restore(training)
    yield from training.history
    for epoch in range(done, epochs):
        if not limit.allows(epoch):
            break
        yield training.run_epoch(epoch)
        checkpoint.save(training, epoch + 1)


def _misfit(held: object, fresh: object, place: str) -> str | None:
    """The first place where `held` is not of a fresh state's form; what is empty or None there says only its kind."""
    parts: Iterable[tuple[object, object, object]] = ()
    match held, fresh:
        case Tensor() as got, Tensor() as like:
            fits = (got.shape, got.dtype) == (like.shape, like.dtype)
        case Mapping() as got, Mapping() as like:
            fits = not like or got.keys() == like.keys()
            parts = ((key, got[key], value) for key, value in like.items())
        case list() | tuple() as got, list() | tuple() as like:
            fits = not like or len(got) == len(like)
            parts = zip(count(), got, like, strict=False)
        case _, None:
            fits = held is None or isinstance(held, str)
        case _:
            fits = type(held) is type(fresh)
    if not fits:
        return f"{place} is {_form(held)}, expected is {_form(fresh)}"
    return next(filter(None, (_misfit(part, like, f"{place}.{name}") for name, part, like in parts)), None)


def _form(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, Mapping | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def _unfit(path: Path, what: str) -> SearchError:
    return SearchError(
        f"checkpoint {str(path)!r} is of this training but does not fit it ({what}); resume with the release "
        "(medarts-ops, torch) that wrote it, or delete the file to go on from an earlier state"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
