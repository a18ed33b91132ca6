"""A worker process's life: carry out what comes through the pipe until it is told to end, or the driver is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Literal

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.errors import MedartsError, SearchError, named
from medarts_ops.executors.protocol import Executor
from medarts_ops.registry import register_again

_logger = logging.getLogger(__name__)

# What a worker sends of its task; nothing of it comes after an error, which ends the job, or after `done`. After `lost`
# nothing comes at all: the process ends.
Message = tuple[Literal["progress", "result", "error", "done", "lost"], Any]


def work(connection: Connection, config: ResolvedSearchRuntime, parts: bytes) -> None:
    """Carry out tasks with what the driver registered; a driver that dies takes its workers along at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    Thread(target=_end_with_driver, daemon=True).start()
    from medarts_ops.executors.local import LocalExecutor  # torch takes seconds, in which a driver may die, too
    from medarts_ops.training.runtime import broken

    executor: Executor | None = None

    def send(kind: str, content: object) -> None:
        connection.send((kind, content))

    with contextlib.suppress(EOFError, ConnectionError):  # the driver is gone
        while (task := connection.recv()) is not None:
            try:
                if executor is None:
                    register_again(parts)
                    executor = LocalExecutor(config)
                for result in executor.run([task], lambda *progress: send("progress", progress)):
                    send("result", result)
                if reason := broken(config.device):
                    send("lost", reason)
                    return
                send("done", None)
            except MedartsError as error:
                send("error", error)
            except ConnectionError:
                raise
            except Exception as error:
                # Outside training: such as images that the device has no memory for.
                _logger.warning("worker process: %s", error, exc_info=error)
                remedy = "its log shows where; mend that and resume the search"
                send("error", SearchError(f"a worker process broke off ({named(error)}): {remedy}"))


def _end_with_driver() -> None:
    """Wait for the driver's end and end this process, whatever it computes: nobody is left who would take it.

    What tells is a pipe that the driver alone holds open, of which a spawned sibling inherits nothing. A task that
    ends in mid write is one that was killed: whoever resumes finds its last whole checkpoint.
    """
    driver = parent_process()
    assert driver is not None, "a worker is started by its driver"
    driver.join()
    os._exit(1)
