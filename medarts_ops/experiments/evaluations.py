"""Several evaluations trained side by side by one executor, each a job of its own with its folder and its observers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from medarts_ops.errors import MedartsError
from medarts_ops.evaluation import EvaluationAtWork, evaluation_task
from medarts_ops.executors.protocol import Executor
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.job import kind_in, new_job, read_journal, resumed_job
from medarts_ops.journal.kinds import EVALUATION
from medarts_ops.observers import EvaluationObserver, EvaluationStarted
from medarts_ops.training.genotype import EvaluationOutcome, EvaluationProgress, FailedEvaluation


@dataclass(frozen=True)
class PlannedEvaluation:
    """An evaluation to be trained in its `folder`, or gone on with there; `observers` makes those who are told of it.

    They are made when its training begins, not before: each may ask a store.
    """

    started: EvaluationStarted
    folder: Path
    observers: Callable[[], Sequence[EvaluationObserver]]


EvaluationEnd = EvaluationResult | FailedEvaluation
"""What an evaluation came to; a failure is a value here, since others go on."""


def train_side_by_side(
    planned: Sequence[PlannedEvaluation], executor: Executor, on_end: Callable[[Path, EvaluationEnd], None]
) -> None:
    """Train all of them; `on_end` is told what each came to, with its folder, as soon as it ends.

    The folders are made where they are missing. Whatever ends this early ends all jobs that are at work: they are told
    so, and go on when they are given again.

    Raises:
        MedartsError: data that can't be read, a full disk, or another process at work on one of them.
    """
    for one in planned:  # a worker saves its checkpoint there before it is heard of here
        one.folder.mkdir(parents=True, exist_ok=True)
    folders = {one.folder.name: one.folder for one in planned}
    tasks = [evaluation_task(one.started, one.folder, _seconds_spent(one)) for one in planned]
    with _AtWork(planned) as at_work:
        for outcome in executor.run(tasks, at_work.on_progress):
            on_end(folders[outcome.name], at_work.finish(outcome))


def _seconds_spent(planned: PlannedEvaluation) -> float:
    """What earlier processes spent of an evaluation's budget, if it has one and began: a journal takes time to read."""
    if planned.started.config.runtime.budget.seconds is None or kind_in(planned.folder) is None:
        return 0.0
    return read_journal(planned.folder, EVALUATION).seconds_at_work


class _AtWork:
    """The jobs that are open: each from its first sign of life to its end, however many are still to come."""

    def __init__(self, planned: Sequence[PlannedEvaluation]) -> None:
        self._planned = {one.folder.name: one for one in planned}
        self._open: dict[str, tuple[ExitStack, EvaluationAtWork]] = {}

    def on_progress(self, name: str, progress: EvaluationProgress) -> None:
        """Take note of how far one of them is."""
        if name not in self._open:
            self._open[name] = self._opened(self._planned[name])
        self._open[name][1].on_progress(progress)

    def finish(self, outcome: EvaluationOutcome) -> EvaluationEnd:
        """End the job of one of them, and give what it came to."""
        if outcome.name not in self._open:
            assert isinstance(outcome, FailedEvaluation), "an evaluation that ends well has begun"
            return outcome
        job, evaluation = self._open.pop(outcome.name)
        try:
            with job:
                return evaluation.finish(outcome)
        except MedartsError:
            if isinstance(outcome, FailedEvaluation):
                return outcome
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        everything = ExitStack()
        for job, _ in self._open.values():
            everything.push(job)
        everything.__exit__(kind, error, traceback)

    @staticmethod
    def _opened(one: PlannedEvaluation) -> tuple[ExitStack, EvaluationAtWork]:
        begin = new_job if kind_in(one.folder) is None else resumed_job
        with ExitStack() as opening:
            job = opening.enter_context(begin(EVALUATION, one.folder, one.observers()))
            return opening.pop_all(), EvaluationAtWork(job, one.started)
