"""Cards that nobody has: a worker that says which it was given, and fails on those that it is told to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from medarts_ops.config_runtime import ResolvedSearchRuntime


@dataclass(frozen=True)
class MadeUpTask:
    """What is handed to a worker; on the cards `broken` it fails, and the worker's CUDA with it."""

    name: int
    work: float = 1.0
    broken: tuple[str, ...] = ()

    def failures(self, cause: str, what: str, known: Sequence[Any] = ()) -> list[Any]:
        return [] if known else [(self.name, cause)]


def work(connection: Connection, config: ResolvedSearchRuntime, parts: bytes) -> None:
    """As `executors/worker.py`'s, for made up tasks: the result of one is its name and the worker's device."""
    with contextlib.suppress(EOFError, ConnectionError):
        while (task := connection.recv()) is not None:
            time.sleep(0.05)
            if config.device in task.broken:
                connection.send(("result", (task.name, f"crashed on {config.device}")))
                connection.send(("lost", "CUDA error: unspecified launch failure"))
                return
            connection.send(("result", (task.name, config.device)))
            connection.send(("done", None))
