"""Carry out tasks in worker processes, several side by side.

A pool of our own, since `concurrent.futures` gives up all pending work when one process dies: here a dead worker
costs its own task, and a new one takes its place. Of several cards each worker has one.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.executors.schedule import longest_first
from medarts_ops.executors.worker import Message, work
from medarts_ops.openmp import wait_in_short_spins
from medarts_ops.registry import registered
from medarts_ops.tasks import Progress, Result, Task, Who

FAILURES_OF_A_CARD = 2
"""So many workers in a row whose card failed under them are its own fault, not that of what they trained."""

_logger = logging.getLogger(__name__)


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    device: str
    task: Task[Any, Any, Any] | None = None
    results: list[Any] = field(default_factory=list)  # those of its task that have come


class ProcessExecutor:
    """`workers` processes of `threads` threads each, started when first needed and kept for the next stage.

    They take cards in turn. A card that failed under two workers in a row is left alone while there is another one.

    A ConfigError if what this process registered can't be handed to them.
    """

    def __init__(self, config: ResolvedSearchRuntime) -> None:
        self._config, self._parts = config, registered()
        self._context = get_context("spawn")  # a forked CUDA or thread pool does not survive
        self._workers: list[_Worker] = []
        self._failed: Counter[str] = Counter()  # by card, since it last carried out a task

    def run(
        self, tasks: Sequence[Task[Who, Progress, Result]], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        waiting = deque(longest_first(tasks))
        while waiting or any(worker.task for worker in self._workers):
            self._hand_out(waiting)
            busy = {worker.connection: worker for worker in self._workers if worker.task}
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                yield from self._receive(busy[connection], on_progress)

    def close(self) -> None:
        for worker in self._workers:
            if worker.task is None:
                with contextlib.suppress(OSError):
                    worker.connection.send(None)
            else:
                worker.process.terminate()
            worker.process.join(timeout=10)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _hand_out(self, waiting: deque[Task[Who, Progress, Result]]) -> None:
        while waiting:
            worker = next((w for w in self._workers if w.task is None), None)
            if worker is None:
                if len(self._workers) >= self._places():
                    return
                worker = self._start()
            task = waiting.popleft()
            try:
                worker.connection.send(task)
            except OSError:  # it died idle, which costs no task
                self._bury(worker)
                waiting.appendleft(task)
                continue
            worker.task, worker.results = task, []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        device = self._free_device()
        config = self._config.model_copy(update={"device": device})
        process = self._context.Process(target=work, args=(theirs, config, self._parts), daemon=True)
        wait_in_short_spins()  # in the worker: here torch may be imported already
        process.start()
        theirs.close()  # so that the worker's death closes the pipe
        worker = _Worker(process, ours, device)
        self._workers.append(worker)
        return worker

    def _free_device(self) -> str:
        """The device of fewest workers, the first of equal ones."""
        taken = Counter(worker.device for worker in self._workers)
        return min(self._usable(), key=lambda device: taken[device])

    def _places(self) -> int:
        """How many workers there may be: those of a card that failed are missing, as another's memory is its own's."""
        on_each = ceil(self._config.workers / len(self._config.device_names))
        return min(self._config.workers, on_each * len(self._usable()))

    def _usable(self) -> list[str]:
        devices = self._config.device_names
        return [each for each in devices if self._failed[each] < FAILURES_OF_A_CARD] or list(devices)

    def _receive(self, worker: _Worker, on_progress: Callable[[Who, Progress], None]) -> Sequence[Any]:
        try:
            message: Message = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        match message:
            case "progress", (who, progress):
                on_progress(who, progress)
            case "result", result:
                worker.results.append(result)
                return [result]
            case "done", _:
                worker.task = None
                self._failed[worker.device] = 0
            case "lost", reason:
                worker.task = None
                self._give_up(worker, reason)
            case "error", error:
                worker.task = None
                raise error
        return []

    def _give_up(self, worker: _Worker, reason: str) -> None:
        """A worker whose card failed under it: nothing can be computed in that process any more."""
        self._failed[worker.device] += 1
        self._bury(worker)
        _logger.warning("%s failed (%s)", worker.device, reason)
        if worker.device not in self._usable():
            _logger.warning("%s is left alone from here on", worker.device)

    def _bury(self, worker: _Worker) -> Sequence[Any]:
        """A dead worker: what it still owes of its task has failed."""
        worker.process.join()
        self._workers.remove(worker)
        died = f"its worker process died with exit code {worker.process.exitcode}"
        return [] if worker.task is None else worker.task.failures("crashed", died, worker.results)
