"""Beneath the algorithm: genotypes' own networks, each trained shortly once in a search, and remembered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.data.stage_data import StageData
from medarts_ops.deadline import SearchDeadline
from medarts_ops.derived import DerivedEpoch, DerivedOutcome, after_equal_epochs
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.retrying import with_retries
from medarts_ops.observers import DerivedEpochFinished, GenotypeTrained, SearchEvent
from medarts_ops.space.genotype import Genotype
from medarts_ops.tasks import DerivedTask, derived_settings

IMAGES = "derived.npz"  # a search's file of images, beside those of its stages


class ShortTrainings:
    """Trains each genotype of a search once; `known` came of earlier processes; `tell` takes every event."""

    def __init__(
        self,
        config: ResolvedSearchConfig,
        folder: Path,
        checkpoints: Path,
        data: StageData,
        executor: Executor,
        known: Sequence[GenotypeTrained],
        tell: Callable[[SearchEvent], None],
        deadline: SearchDeadline | None = None,
    ) -> None:
        self._settings, self._retries = derived_settings(config), config.retries
        self._file, self._checkpoints, self._executor = folder / IMAGES, checkpoints, executor
        self._known, self._tell, self._deadline = known, tell, deadline
        self._outcomes: dict[str, DerivedOutcome] = {}
        self._seconds: defaultdict[int, float] = defaultdict(float)
        data.save(self._file)

    def begin_stage(self, stage: int) -> None:
        """Tell again what earlier processes trained in that stage."""
        for event in self._known:
            if event.stage == stage:
                self._finished(event)

    def of(self, stage: int, genotypes: Sequence[Genotype]) -> Mapping[str, DerivedOutcome]:
        """What came of each genotype, by identity; those that are new are trained now, as work of that stage.

        Who failed by no fault of its own is trained again, as often as the config's `retries` says. With a deadline all
        that are new are taken after equally many epochs, those of the shortest.
        """
        new = {genotype.identity: genotype for genotype in genotypes if genotype.identity not in self._outcomes}
        done: dict[str, DerivedOutcome] = {}

        def tasks_left() -> list[DerivedTask]:
            left = [genotype for name, genotype in new.items() if name not in done]
            seconds = None if self._deadline is None else self._deadline.seconds_of_genotypes(stage, len(left))
            return [self._task(genotype, seconds) for genotype in left]

        for outcome in with_retries(self._run, tasks_left, self._retries):
            done[outcome.genotype.identity] = outcome
            if self._deadline is None:
                self._finished(GenotypeTrained(stage=stage, outcome=outcome))
        for outcome in () if self._deadline is None else after_equal_epochs(list(done.values())):
            self._finished(GenotypeTrained(stage=stage, outcome=outcome))
        return self._outcomes

    def seconds(self, stage: int) -> float:
        """What the short trainings that were first asked for in that stage took."""
        return self._seconds[stage]

    def _run(self, tasks: Sequence[DerivedTask]) -> Iterator[DerivedOutcome]:
        return self._executor.run(tasks, self._on_epoch)

    def _task(self, genotype: Genotype, seconds: float | None) -> DerivedTask:
        return DerivedTask(
            genotype=genotype,
            settings=self._settings,
            data=str(self._file),
            checkpoint=str(self._checkpoints / f"derived-{genotype.identity}.pt"),
            seconds=seconds,
        )

    def _finished(self, event: GenotypeTrained) -> None:
        self._outcomes[event.outcome.genotype.identity] = event.outcome
        self._seconds[event.stage] += event.outcome.seconds
        self._tell(event)

    def _on_epoch(self, genotype: str, record: DerivedEpoch) -> None:
        self._tell(DerivedEpochFinished(genotype=genotype, record=record))
