"""Carry out tasks in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.tasks import Progress, Result, Task, Who
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace


class LocalExecutor:
    """Keeps data, on the device where that is their place, for all tasks of one source; `data` are loaded already."""

    def __init__(self, config: ResolvedRuntime, data: Any = None, source: object = None) -> None:
        self._workplace = Workplace(Runtime.from_config(config), data, source)

    def run(
        self, tasks: Sequence[Task[Who, Progress, Result]], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        """Carry out in the tasks' order."""
        self._workplace.runtime.apply_to_process()
        for task in tasks:
            yield from carry_out(task, self._workplace, on_progress)

    def close(self) -> None:
        self._workplace.clear()
