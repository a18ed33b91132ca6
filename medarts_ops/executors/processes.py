"""Train in worker processes, so that several individuals train side by side.

A pool of our own, since `concurrent.futures` gives up all pending work when one process dies: here a dead worker
costs its own task, and a new one takes its place.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.errors import MedartsError, SearchError
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.individual import EpochRecord, FailedIndividual, Individual, Outcome, TrainingTask
from medarts_ops.registry import register_again, registered
from medarts_ops.training.group import EpochCallback

_logger = logging.getLogger(__name__)

Message = tuple[Individual, EpochRecord] | Outcome | MedartsError
"""What a worker sends: progress, then an outcome for each individual; or the error that ends the search."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    training: dict[str, Individual] = field(default_factory=dict)
    """The individuals of its task that it still owes an outcome, by id."""


class ProcessExecutor:
    """`workers` processes of `threads` threads each, started when first needed and kept for the next stage."""

    def __init__(self, config: ResolvedSearchRuntime) -> None:
        self._config = config
        self._context = get_context("spawn")  # a forked CUDA or thread pool does not survive
        self._workers: list[_Worker] = []

    def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
        """Hand out tasks one by one; an outcome is yielded as soon as it arrives."""
        waiting = deque(tasks)
        while waiting or any(worker.training for worker in self._workers):
            self._hand_out(waiting)
            busy = {worker.connection: worker for worker in self._workers if worker.training}
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                yield from self._receive(busy[connection], on_epoch)

    def close(self) -> None:
        """Ask idle workers to end, and end busy ones."""
        for worker in self._workers:
            if not worker.training:
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

    def _hand_out(self, waiting: deque[TrainingTask]) -> None:
        while waiting:
            worker = next((w for w in self._workers if not w.training), None)
            if worker is None:
                if len(self._workers) == self._config.workers:
                    return
                worker = self._start()
            task = waiting.popleft()
            try:
                worker.connection.send(task)
            except OSError:  # it died idle, which costs no task
                self._bury(worker)
                waiting.appendleft(task)
                continue
            worker.training = {individual.id: individual for individual in task.individuals}

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._config, registered()), daemon=True)
        process.start()
        theirs.close()  # so that the worker's death closes the pipe
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _receive(self, worker: _Worker, on_epoch: EpochCallback) -> list[Outcome]:
        try:
            message: Message = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if isinstance(message, tuple):
            on_epoch(*message)
            return []
        if isinstance(message, MedartsError):
            worker.training.clear()
            raise message
        del worker.training[message.individual.id]
        return [message]

    def _bury(self, worker: _Worker) -> list[Outcome]:
        """A dead worker: what it was training has failed."""
        worker.process.join()
        self._workers.remove(worker)
        died = f"its worker process died with exit code {worker.process.exitcode}"
        return [
            FailedIndividual(individual=individual, reason=f"individual {individual.id}: {died}", cause="crashed")
            for individual in worker.training.values()
        ]


def _work(connection: Connection, config: ResolvedSearchRuntime, parts: bytes) -> None:
    """A worker's life: train what comes through the pipe until it is told to end, or the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    executor: LocalExecutor | None = None

    def send_epoch(individual: Individual, record: EpochRecord) -> None:
        connection.send((individual, record))

    with contextlib.suppress(EOFError, ConnectionError):  # the driver is gone
        while (task := connection.recv()) is not None:
            try:
                if executor is None:
                    register_again(parts)
                    executor = LocalExecutor(config)
                for outcome in executor.run([task], send_epoch):
                    connection.send(outcome)
            except MedartsError as error:
                connection.send(error)
            except ConnectionError:
                raise
            except Exception as error:
                _logger.warning("worker process: %s", error, exc_info=error)
                connection.send(_broken_off(error))


def _broken_off(error: Exception) -> SearchError:
    """Another error than the known ones, outside training: such as images that the device has no memory for."""
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return SearchError(f"a worker process broke off ({what}): its log shows where; mend that and resume the search")
