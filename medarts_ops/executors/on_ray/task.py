"""A task as Ray carries it out, and the stream of what it tells."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.errors import MedartsError, SearchError, named
from medarts_ops.provenance import installed_version
from medarts_ops.registry import register_again
from medarts_ops.tasks import Task
from medarts_ops.training.carry_out import carry_out, workplace_with
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import SavedStates

_logger = logging.getLogger(__name__)

Payloads = Mapping[str, Sequence[bytes]]  # a task's checkpoints by path, the newest first
Message = tuple[Literal["progress", "result", "error", "checkpoint", "file"], Any]


def versions() -> dict[str, str]:
    """What must be equal on all machines."""
    return {"medarts-ops": installed_version("medarts-ops") or "not installed", "Python": platform.python_version()}


def carried_out(
    task: Task[Any, Any, Any],
    images: Any,
    payloads: Payloads,
    config: ResolvedSearchRuntime,
    parts: bytes,
    wanted: Mapping[str, str],
) -> Iterator[Message]:
    """Ray's task: carry out ours on a thread, and tell what comes of it, in order."""
    if versions() != wanted:
        found = f"a machine of the cluster has {versions()}, the driving one {dict(wanted)}"
        yield "error", SearchError(f"{found}: install the same releases on both, then resume")
        return
    channel: SimpleQueue[Message | None] = SimpleQueue()

    def work() -> None:
        try:
            register_again(parts)
            runtime = Runtime.from_config(config)
            runtime.apply_to_process()  # on the thread that computes: their number is a thread's own
            # What Ray hands out is read-only, and shared with the machine's other tasks.
            workplace = workplace_with(deepcopy(images), task, runtime, _SentFiles(channel, payloads))
            for result in carry_out(task, workplace, lambda *progress: channel.put(("progress", progress))):
                channel.put(("result", result))
        except MedartsError as error:
            channel.put(("error", error))
        except Exception as error:
            _logger.warning("Ray's task: %s", error, exc_info=error)
            channel.put(("error", SearchError(f"a task of Ray broke off ({named(error)}): mend that and resume")))
        finally:
            channel.put(None)

    Thread(target=work, daemon=True).start()
    while (message := channel.get()) is not None:
        yield message


class _SentFiles:
    """A task's files, which the driving process has."""

    def __init__(self, channel: SimpleQueue[Message | None], payloads: Payloads) -> None:
        self._channel, self._payloads = channel, payloads

    def states(self, path: str) -> SavedStates:
        return _SentStates(self._channel, path, self._payloads.get(path, ()))

    def write(self, path: str, content: bytes) -> None:
        self._channel.put(("file", (path, content)))


class _SentStates:
    """One checkpoint of them."""

    def __init__(self, channel: SimpleQueue[Message | None], path: str, known: Sequence[bytes]) -> None:
        self._channel, self._path, self._known = channel, path, known

    def write(self, payload: bytes) -> None:
        self._channel.put(("checkpoint", (self._path, payload)))

    def payloads(self) -> Iterator[tuple[Path, bytes]]:
        return ((Path(self._path), payload) for payload in self._known)
