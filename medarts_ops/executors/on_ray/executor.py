"""Carry out tasks as Ray's.

One of Ray's tasks for each of ours, which keeps no state: a value, its images (sent once for all tasks that train on
them) and its last checkpoint. What it tells, files too, comes back as a stream to the driving process, which alone
writes them: no disk needs to be shared.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.errors import SearchError
from medarts_ops.executors.on_ray.cluster import Needs, check_places, join, start_here
from medarts_ops.executors.on_ray.streams import Told, build_streams
from medarts_ops.executors.on_ray.task import versions
from medarts_ops.executors.schedule import longest_first
from medarts_ops.registry import registered
from medarts_ops.tasks import Progress, Result, Task, Who
from medarts_ops.training.carry_out import read_images_of
from medarts_ops.training.workplace import FilesHere

_logger = logging.getLogger(__name__)


@dataclass
class _AtWork:
    task: Task[Any, Any, Any]
    tries: int = 0
    results: list[Any] = field(default_factory=list)


class RayExecutor:
    """`workers` tasks at a time, the longest first.

    A task whose process or machine died is begun again from its last checkpoint, as often as `runtime.ray.retries`
    says; then what it owes has failed.

    Raises:
        ConfigError: no cluster answers, or it has no place for a task.
    """

    def __init__(self, config: ResolvedSearchRuntime) -> None:
        self._config, self._parts, self._files = config, registered(), FilesHere()
        self._images: tuple[object, Any] = (None, None)  # a source, and where Ray has what it holds
        self._leaves_ray_running = ray.is_initialized()
        if config.elsewhere:
            join(config.ray.address)
        else:
            start_here(config)
        wants = Needs.from_config(config)
        check_places(wants, config.workers)
        self._streams = build_streams(wants)

    def run(
        self, tasks: Sequence[Task[Who, Progress, Result]], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        waiting = deque(map(_AtWork, longest_first(tasks)))
        running: dict[int, _AtWork] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._config.workers:
                    at_work = waiting.popleft()
                    running[self._begun(at_work.task)] = at_work
                key, told = self._streams.next()
                yield from self._receive(key, told, running, waiting, on_progress)
        finally:
            if running:
                self._streams.cancel()

    def close(self) -> None:
        self._images = (None, None)
        if not self._leaves_ray_running:
            ray.shutdown()

    def _begun(self, task: Task[Who, Progress, Result]) -> int:
        if self._images[0] != task.source:
            self._images = (None, None)
            self._images = (task.source, self._streams.keep(read_images_of(task)))
        known = {path: [payload for _, payload in self._files.states(path).payloads()] for path in task.checkpoints}
        sent = {path: payloads for path, payloads in known.items() if payloads}
        return self._streams.begin((task, self._images[1], sent, self._config, self._parts, versions()))

    def _receive(
        self,
        key: int,
        told: Told,
        running: dict[int, _AtWork],
        waiting: deque[_AtWork],
        on_progress: Callable[[Any, Any], None],
    ) -> Sequence[Any]:
        at_work = running[key]
        match told:
            case "progress", (who, progress):
                on_progress(who, progress)
            case "result", result:
                at_work.results.append(result)
                return [result]
            case "checkpoint", (path, payload):
                self._files.states(path).write(payload)
            case "file", (path, content):
                self._files.write(path, content)
            case "error", error:
                raise error
            case "over", _:
                del running[key]
            case "died", how:
                del running[key]
                return self._died(at_work, how, waiting)
            case "unable", why:
                raise SearchError(
                    f"a task of Ray can't begin ({why}): every machine of the cluster needs this release of "
                    "medarts-ops and what was registered; install it there, then resume"
                )
        return []

    def _died(self, at_work: _AtWork, how: str, waiting: deque[_AtWork]) -> Sequence[Any]:
        why = f"its process or its machine died ({how})"
        if at_work.results or at_work.tries >= self._config.ray.retries:
            return at_work.task.failures("crashed", why, at_work.results)
        _logger.warning("%s: %s; it is begun again", ", ".join(at_work.task.names), why)
        waiting.appendleft(_AtWork(at_work.task, at_work.tries + 1))
        return []
