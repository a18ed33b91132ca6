"""A training's state on disk after each epoch, so that a killed process loses one epoch at most."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from medarts_ops.errors import SearchError
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
    path: Path
    epochs: Any
    state: Any


class TrainingCheckpoint:
    """Saves and restores one training.

    Args:
        path: the file; None saves and restores nothing.
        identity: what the state belongs to; that of another identity is not restored.
    """

    def __init__(self, path: Path | str | None, identity: str) -> None:
        self._identity = identity
        self._file = None if path is None else CheckpointFile(Path(path))

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

        One of another identity, or that can't be read, is named in a warning and passed over. One of this identity
        whose state does not fit is not: going on from an earlier state would overwrite what another release can use.

        Returns:
            How many epochs are done; 0 if there is no checkpoint.

        Raises:
            SearchError: a newer release wrote the checkpoint, or its state is not one of this training, which then
                must not be used.
        """
        held = next(self._usable(), None)
        if held is None:
            return 0
        misfit = _misfit(held.epochs, 1, "epochs") or _misfit(held.state, training.state(), "state")
        if misfit or held.epochs < 1:
            raise _unfit(held.path, misfit or f"epochs is {held.epochs}, allowed are 1 and more")
        try:
            training.load_state(held.state)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a text or a tensor that only looks right leads to
            raise _unfit(held.path, _first_line(error)) from error
        epochs: int = held.epochs
        _logger.info("training goes on after epoch %d of checkpoint %s", epochs, held.path)
        return epochs

    def _usable(self) -> Iterator[_Held]:
        for path, payload in () if self._file is None else self._file.payloads():
            try:
                # Tensors, numbers and text alone: nothing in the file is run.
                held = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            except MemoryError:
                raise
            except Exception as error:  # torch lets through whatever a foreign pickle makes it stumble over
                _logger.warning("checkpoint %s can't be read (%s); training starts before it", path, _first_line(error))
                continue
            if isinstance(held, dict) and _is(held.get("identity"), self._identity):
                yield _Held(path, held.get("epochs"), held.get("state"))
            else:
                _logger.warning("checkpoint %s is of other settings; training starts before it", path)


def _is(held: object, identity: str) -> bool:
    return isinstance(held, str) and held == identity


def _misfit(held: object, fresh: object, place: str) -> str | None:
    """The first place where `held` is not of the form of a fresh training's state.

    What is empty or None in a fresh one says nothing of how it is later, but of its kind.
    """
    found: Iterator[str | None] = iter(())
    match fresh:
        case Tensor():
            fits = isinstance(held, Tensor) and (held.shape, held.dtype) == (fresh.shape, fresh.dtype)
        case Mapping():
            fits = isinstance(held, Mapping) and (not fresh or held.keys() == fresh.keys())
            if isinstance(held, Mapping) and fits:
                found = (_misfit(held[key], value, f"{place}.{key}") for key, value in fresh.items())
        case list() | tuple():
            fits = isinstance(held, list | tuple) and (not fresh or len(held) == len(fresh))
            if isinstance(held, list | tuple) and fits:
                found = (
                    _misfit(each, value, f"{place}.{n}")
                    for n, (each, value) in enumerate(zip(held, fresh, strict=False))
                )
        case None:
            fits = held is None or isinstance(held, str)
        case _:
            fits = type(held) is type(fresh)
    if not fits:
        return f"{place} is {_form(held)}, expected is {_form(fresh)}"
    return next(filter(None, found), None)


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
