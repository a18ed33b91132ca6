"""An executor: where and in which order groups of individuals are trained."""

from collections.abc import Iterator, Sequence

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.individual import Outcome, TrainingTask
from medarts_ops.training.group import EpochCallback


class LastFirstExecutor:
    """Trains in this process, the last group first: the order changes no result."""

    def __init__(self, runtime: ResolvedSearchRuntime) -> None:
        self._local = LocalExecutor(runtime)

    def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
        """Outcomes as they come."""
        yield from self._local.run(tasks[::-1], on_epoch)

    def close(self) -> None:
        """Let go of the images."""
        self._local.close()
