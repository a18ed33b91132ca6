"""A rank's life: one of the processes that carry out a task together, each on a device of its own."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, NamedTuple

from medarts_ops.config_runtime import ResolvedEvaluationRuntime
from medarts_ops.errors import MedartsError, SearchError, named
from medarts_ops.registry import register_again
from medarts_ops.tasks import Task
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.genotype import FailedEvaluation
from medarts_ops.training.ranks import Ranks, process_group
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import FilesHere, SavedStates, Workplace

# What a rank sends: the first one all, the others what they fail of. A failed result, an error and done are the last.
Message = tuple[Literal["log", "progress", "result", "error", "done"], Any]


class Work(NamedTuple):
    """What all ranks are given alike; `meeting` is a file, not there yet, by which they find each other."""

    task: Task[Any, Any, Any]
    config: ResolvedEvaluationRuntime
    parts: bytes
    meeting: Path


def work_together(rank: int, pipes: Sequence[Connection], work: Work) -> None:
    """Carry out the task with the other ranks; `pipes` lead to the driver, this rank's and those of the others.

    A rank that fails waits for its end, which the driver brings: the others must not be told that it is gone before
    the driver is told why.
    """
    driver = pipes[rank]
    for other in {*range(len(pipes))} - {rank}:
        pipes[other].close()  # so that the death of the other closes it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # as a process is started, it is blocked
    Thread(target=_end_with, args=(driver,), daemon=True).start()

    def send(kind: str, content: object) -> None:
        driver.send((kind, content))

    _log_to(send, everything=rank == 0)
    try:
        has_failed = _carry_out(Ranks(rank, len(pipes)), work, send)
    except MedartsError as error:
        send("error", error)
        has_failed = True
    except Exception as error:
        logging.getLogger(__name__).warning("device %d: %s", rank + 1, error, exc_info=error)
        remedy = "its log shows where; mend that and resume"
        send("error", SearchError(f"the process of device {rank + 1} broke off ({named(error)}): {remedy}"))
        has_failed = True
    while has_failed:
        signal.pause()


def _carry_out(ranks: Ranks, work: Work, send: Callable[[str, object], None]) -> bool:
    """Whether this rank failed."""
    register_again(work.parts)
    runtime = Runtime.from_config(work.config, ranks)
    runtime.apply_to_process()
    is_first = ranks.rank == 0
    workplace = Workplace(runtime, files=FilesHere() if is_first else _FilesOfTheFirst())
    with process_group(ranks, runtime.device, work.meeting):
        for result in carry_out(work.task, workplace, lambda *told: send("progress", told) if is_first else None):
            if is_first or isinstance(result, FailedEvaluation):
                send("result", result)
            if isinstance(result, FailedEvaluation):
                return True
    if is_first:
        send("done", None)
    return False


def _end_with(driver: Connection) -> None:
    """End this process when the driver closes its pipe, or dies: nobody is left who would take what it computes."""
    with suppress(EOFError, OSError):
        driver.recv()
    os._exit(1)


def _log_to(send: Callable[[str, object], None], *, everything: bool) -> None:
    """Let the driver log what is logged here: everything, or failures with their traceback alone."""

    class Driver(SimpleQueue[logging.LogRecord]):
        def put_nowait(self, item: logging.LogRecord) -> None:
            send("log", item)

    handler = QueueHandler(Driver())
    handler.addFilter(lambda record: everything or record.exc_info is not None)
    package = logging.getLogger("medarts_ops")
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False


class _FilesOfTheFirst:
    """A task's files as the other ranks have them: they go on from the first one's checkpoint, and write none."""

    def states(self, path: str) -> SavedStates:
        return _StatesOfTheFirst(FilesHere().states(path))

    def write(self, path: str, content: bytes) -> None:
        pass


class _StatesOfTheFirst:
    def __init__(self, kept: SavedStates) -> None:
        self._kept = kept

    def write(self, payload: bytes) -> None:
        pass

    def payloads(self) -> Iterable[tuple[Path, bytes]]:
        return self._kept.payloads()
