"""An executor: where and in which order tasks are carried out."""

from collections.abc import Callable, Iterator, Sequence

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.tasks import Progress, Result, Task, Who


class LastFirstExecutor:
    """Works in this process, the last task first: the order changes no result."""

    def __init__(self, runtime: ResolvedSearchRuntime) -> None:
        self._local = LocalExecutor(runtime)

    def run(
        self, tasks: Sequence[Task[Who, Progress, Result]], on_progress: Callable[[Who, Progress], None]
    ) -> Iterator[Result]:
        """Results as they come."""
        yield from self._local.run(tasks[::-1], on_progress)

    def close(self) -> None:
        """Let go of the images."""
        self._local.close()
