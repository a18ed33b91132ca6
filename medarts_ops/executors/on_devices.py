"""Carry out a training on several devices at once: a process, a rank, for each, started by torchrun's launcher."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.distributed.elastic.multiprocessing import (
    DefaultLogsSpecs,
    PContext,
    SignalException,
    Std,
    start_processes,
)

from medarts_ops.config_runtime import ResolvedEvaluationRuntime
from medarts_ops.errors import SearchError
from medarts_ops.executors.rank import Message, Work, work_together
from medarts_ops.openmp import wait_in_short_spins
from medarts_ops.registry import registered
from medarts_ops.tasks import Progress, Result, Task, Who
from medarts_ops.training.genotype import FailedEvaluation

SECONDS_TO_BE_FOUND_DEAD = 2.0
"""How long is waited to see whether a rank broke off since another one died."""

SECONDS_TO_END = 10.0

_LAUNCHERS_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class DevicesExecutor:
    """Trains each evaluation on `devices` devices, with `threads` threads each; the first rank tells, and writes files.

    Ranks last for one task: where one fails, or dies, the others are ended, and the task has failed.
    """

    def __init__(self, config: ResolvedEvaluationRuntime) -> None:
        self._config, self._parts = config, registered()
        self._ranks: PContext | None = None
        self._pipes: list[Connection] = []

    def run(
        self, tasks: Sequence[Task[Who, Progress, Result]], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        """Carry out in the tasks' order."""
        for task in tasks:
            with TemporaryDirectory(prefix="medarts-ranks-") as folder:
                try:
                    self._start(task, Path(folder))
                    yield from self._results(task, on_progress)
                finally:
                    self.close()

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()  # which ends a rank
        if self._ranks is not None:
            self._ranks.close(timeout=int(SECONDS_TO_END))
        self._ranks, self._pipes = None, []

    def _start(self, task: Task[Any, Any, Any], folder: Path) -> None:
        for name in ("torch.distributed.elastic", "torch.multiprocessing"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they tell of each process that they end
        n = self._config.devices
        pairs = [get_context("spawn").Pipe() for _ in range(n)]
        self._pipes, theirs = [ours for ours, _ in pairs], [end for _, end in pairs]
        work = Work(task, self._config, self._parts, folder / "meeting")
        # Ranks on a CPU talk by the machine's own loop, whatever its name resolves to.
        environment = {"GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo")}
        wait_in_short_spins()
        try:
            with _signals_as_they_were():
                self._ranks = start_processes(
                    name="rank",
                    entrypoint=work_together,
                    args={rank: (rank, theirs, work) for rank in range(n)},
                    envs={rank: environment for rank in range(n)},
                    logs_specs=DefaultLogsSpecs(str(folder), redirects=Std.OUT),  # Gloo writes to stdout, which is ours
                )
        finally:
            for end in theirs:
                end.close()

    def _results(
        self, task: Task[Who, Progress, Result], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        assert self._ranks is not None
        results: list[Result] = []
        while True:
            for pipe in wait(self._pipes):
                assert isinstance(pipe, Connection)
                try:
                    message: Message = pipe.recv()
                except (EOFError, OSError):
                    yield from task.failures("crashed", self._death() or "one of its processes died", results)
                    return
                match message:
                    case "log", record:
                        logging.getLogger(record.name).handle(record)
                    case "progress", (who, progress):
                        on_progress(who, progress)
                    case (_, FailedEvaluation(cause="crashed") | SearchError()) if death := self._death():
                        # A rank whose partner is gone has nothing to tell but that.
                        yield from task.failures("crashed", death, results)
                        return
                    case "result", result:
                        results.append(result)
                        yield result
                        if isinstance(result, FailedEvaluation):
                            return
                    case "error", error:
                        raise error
                    case "done", _:
                        self._ranks.wait(SECONDS_TO_END, period=0.02)
                        return

    def _death(self) -> str | None:
        """Which rank died of what, if any did."""
        assert self._ranks is not None
        ended = self._ranks.wait(SECONDS_TO_BE_FOUND_DEAD, period=0.02)
        for rank, failure in ended.failures.items() if ended else ():
            of = f"{rank + 1} of {self._config.devices}"
            return f"the process of device {of} died ({failure.signal_name()}); resume it, on fewer devices if need be"
        return None


@contextmanager
def _signals_as_they_were() -> Iterator[None]:
    """While processes are started inside; the launcher puts handlers of its own in the place of ours.

    A signal that those get is raised again for ours. Processes begin with Ctrl-C blocked, which would else be told by
    each, with a traceback.
    """
    resource_tracker.ensure_running()  # as it starts it unblocks Ctrl-C
    ours = {number: signal.getsignal(number) for number in _LAUNCHERS_SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    came: int | None = None
    try:
        yield
    except SignalException as error:
        came = error.sigval
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in ours.items():
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if came is not None:
        signal.raise_signal(came)
        raise KeyboardInterrupt
