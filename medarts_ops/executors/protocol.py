"""What an executor promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from medarts_ops.tasks import Progress, Result, Task, Who


@runtime_checkable
class Executor(Protocol):
    """Carries out tasks somewhere, with its own runtime; results come as they finish, in any order.

    For equal `threads` and equal tasks the results are the same whatever the executor and the number of its workers.
    """

    def run(
        self, tasks: Sequence[Task[Who, Progress, Result]], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        """A result for every name of every task. `on_progress` is called in the driving process."""
        ...

    def close(self) -> None:
        """End worker processes and free memory; the executor is not used afterwards."""
        ...
