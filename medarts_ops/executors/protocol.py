"""What an executor promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from medarts_ops.individual import Outcome, TrainingTask
from medarts_ops.training.group import EpochCallback


class Executor(Protocol):
    """Trains tasks somewhere; outcomes come as they finish, in any order.

    For equal `threads` and equal tasks the outcomes are the same whatever the executor and the number of its workers.
    """

    def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
        """Train every individual of every task. `on_epoch` is called in the driving process."""
        ...

    def close(self) -> None:
        """End worker processes and free memory; the executor is not used afterwards."""
        ...
