"""What executors are given: values that any process can carry out.

These are the search training of a group, and the short training of a genotype.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Generic, Self, TypeVar

from medarts_ops.alpha import OperationMasks
from medarts_ops.config import (
    AuxiliaryConfig,
    ResolvedEvaluateConfig,
    ResolvedSearchConfig,
    SearchConfig,
    StageConfig,
)
from medarts_ops.config_runtime import ResolvedEvaluationRuntime, ResolvedRuntime
from medarts_ops.derived import DerivedEpoch, DerivedOutcome, FailedDerivedTraining
from medarts_ops.individual import EpochRecord, FailedIndividual, FailureCause, Individual, Outcome
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import LEARNABLE
from medarts_ops.value import Value, identity_of

Who = TypeVar("Who")
Progress = TypeVar("Progress")
Result = TypeVar("Result")


class Task(Value, Generic[Who, Progress, Result]):
    """What an executor is given: a value that any process can carry out (`training/carry_out.py`).

    It tells of `Who` some `Progress` on its way, and has a `Result` for each of its `names`.
    """

    @property
    def identity(self) -> str:
        """What a checkpoint must have been made of to be this task's: a hash of all that has an effect."""
        return identity_of(self)

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Who is trained."""

    @property
    @abstractmethod
    def source(self) -> object:
        """What its images are read from; tasks of equal sources have equal images."""

    @property
    @abstractmethod
    def work(self) -> float:
        """How long it takes beside other tasks of its kind, in a unit that only compares them."""

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The files of its checkpoint and of those of its halves."""
        return ()

    @property
    @abstractmethod
    def remedy(self) -> str:
        """What takes so much memory, and which settings to lower."""

    @abstractmethod
    def failures(self, cause: FailureCause, what: str, known: Sequence[Result] = ()) -> list[Result]:
        """Its results when it breaks off, without those that are `known`."""

    def halves(self) -> tuple[Self, ...]:
        """The same work in two tasks that need less memory each; none if it can't be divided."""
        return ()


class TrainingTask(Task[Individual, EpochRecord, Outcome]):
    """The search training of individuals of one stage, with the file that holds the stage's images.

    `masks` are the operations that any individual of the stage has, which is what its supernets are built with; None
    is all. `checkpoint` is the file that the group's training is saved to after each epoch, and goes on from; None
    saves nothing. `seconds` are how long it may train: it ends after the last epoch that fits, one at the least.

    The training of a population that is pruned is in two tasks: one `until` so many epochs are over, from 1 (None: to
    the stage's end), and one of those of its individuals that go on, which has it as `begun`. Where its checkpoint is
    lost, too, that one is carried out again, and leads to the same bits.
    """

    without_effect = frozenset({"stage_data", "checkpoint", "seconds"})
    added_later = frozenset({"masks", "until", "begun"})

    individuals: tuple[Individual, ...]
    stage: StageConfig
    config: ResolvedSearchConfig
    stage_data: str
    masks: OperationMasks | None = None
    checkpoint: str | None = None
    seconds: float | None = None
    until: int | None = None
    begun: TrainingTask | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(individual.id for individual in self.individuals)

    @property
    def last_epoch(self) -> int:
        """The epoch, from 1, after which it is over."""
        return self.stage.epochs if self.until is None else self.until

    @property
    def source(self) -> str:
        return self.stage_data

    @property
    def work(self) -> float:
        return len(self.individuals)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        own = () if self.checkpoint is None else (self.checkpoint,)
        before = () if self.begun is None else self.begun.checkpoints
        return tuple(dict.fromkeys((*own, *before, *(path for half in self.halves() for path in half.checkpoints))))

    @property
    def warmup_epochs(self) -> int:
        """The first epochs that train w only, which are those of all its individuals (`stacks_of`); else a ValueError.

        A forward pass of α's step moves running statistics, too, so that no member of a stack could be left out.
        """
        found = sorted({warmup_epochs(self.config, self.stage, individual) for individual in self.individuals})
        if len(found) > 1:
            raise ValueError(f"{', '.join(self.names)} warm up for {found} epochs: allowed in one stack is one number")
        return found[0]

    @property
    def remedy(self) -> str:
        stage = self.stage
        return (
            f"batch {stage.batch}, {stage.cells} cells and {stage.channels} channels; lower stages.*.batch or "
            "stages.*.channels, or train fewer at a time (runtime.workers, runtime.stack)"
        )

    def failures(self, cause: FailureCause, what: str, known: Sequence[Outcome] = ()) -> list[Outcome]:
        finished = {outcome.individual.id for outcome in known}
        return [
            FailedIndividual(
                individual=individual,
                reason=f"individual {individual.id}, stage {self.stage.name!r}: {what}",
                cause=cause,
            )
            for individual in self.individuals
            if individual.id not in finished
        ]

    def halves(self) -> tuple[TrainingTask, ...]:
        """Half of the individuals each, with a checkpoint of its own beside the group's; or who of them goes on."""
        if self.begun is not None:
            parts = (half.going_on(self.names) for half in self.begun.halves())
            return tuple(part for part in parts if part is not None)
        middle, halves = len(self.individuals) // 2, []
        for part in (self.individuals[:middle], self.individuals[middle:]) if middle else ():
            beside = self.checkpoint and str(Path(self.checkpoint).with_name(f"{part[0].id}-{len(part)}.pt"))
            seconds = self.seconds and self.seconds * len(part) / len(self.individuals)
            halves.append(self.model_copy(update={"individuals": part, "checkpoint": beside, "seconds": seconds}))
        return tuple(halves)

    def going_on(self, names: Collection[str]) -> TrainingTask | None:
        """What follows on this one: those individuals of it to the stage's end; None if there are none."""
        individuals = tuple(individual for individual in self.individuals if individual.id in names)
        if not individuals:
            return None
        own = self.checkpoint and Path(self.checkpoint)
        beside = own and str(own.parent / "kept" / own.name)
        return self.model_copy(update={"individuals": individuals, "checkpoint": beside, "until": None, "begun": self})


def warmup_epochs(config: SearchConfig, stage: StageConfig, individual: Individual) -> int:
    """The first epochs of the stage in which the individual trains w only."""
    return stage.warmup_epochs(individual.hyperparameters.alpha_warmup, config.alpha.warmup_epochs)


def stacks_of(
    config: SearchConfig, stage: StageConfig, population: Sequence[Individual], size: int
) -> list[tuple[Individual, ...]]:
    """The population in stacks of at most `size`, in its order.

    In each all warm up for equally many epochs, and have the same numbers of the strategy, if any is an individual's.
    """
    alike: dict[object, list[Individual]] = {}
    for individual in population:
        numbers = tuple(sorted(individual.hyperparameters.strategy.items()))
        alike.setdefault((warmup_epochs(config, stage, individual), numbers), []).append(individual)
    return [tuple(group[first : first + size]) for group in alike.values() for first in range(0, len(group), size)]


class DerivedTask(Task[str, DerivedEpoch, DerivedOutcome]):
    """The short training of a genotype's own network, by the settings of an evaluation.

    `data` is the file of a `StageData`: the network is trained on its weight half and measured by its validation
    images. Progress names the genotype by its identity. `checkpoint` and `seconds` are as a group's.
    """

    without_effect = frozenset({"data", "checkpoint", "seconds"})

    genotype: Genotype
    settings: ResolvedEvaluateConfig
    data: str
    checkpoint: str | None = None
    seconds: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.genotype.identity,)

    @property
    def source(self) -> str:
        return self.data

    @property
    def work(self) -> float:
        return 1 + sum(name in LEARNABLE for name, _ in (*self.genotype.normal, *self.genotype.reduce))

    @property
    def checkpoints(self) -> tuple[str, ...]:
        return () if self.checkpoint is None else (self.checkpoint,)

    @property
    def remedy(self) -> str:
        config = self.settings
        return (
            f"batch {config.batch}, {config.cells} cells and {config.channels} channels; lower derived.batch or "
            "derived.channels, or train fewer at a time (runtime.workers)"
        )

    def failures(self, cause: FailureCause, what: str, known: Sequence[DerivedOutcome] = ()) -> list[DerivedOutcome]:
        reason = f"short training of genotype {self.genotype.identity}: {what}"
        return [] if known else [FailedDerivedTraining(genotype=self.genotype, reason=reason, cause=cause)]


def derived_settings(config: ResolvedSearchConfig) -> ResolvedEvaluateConfig:
    """The short training of a search's genotypes as settings of an evaluation, on images that the search draws."""
    derived, runtime = config.derived, config.runtime
    weights = config.weights.model_copy(update={"lr": derived.lr, "lr_min": 0.0})
    return ResolvedEvaluateConfig(
        preset=config.preset,
        seed=config.seed if derived.seed is None else derived.seed,
        dataset=config.dataset.model_copy(update={"low_resolution": False}),  # the search halved them
        cells=derived.cells,
        channels=derived.channels,
        stem=config.stem,
        epochs=derived.epochs,
        batch=derived.batch,
        weights=weights,
        drop_path=0.0,
        auxiliary=AuxiliaryConfig(weight=0.0),
        augment=config.augment,
        runtime=ResolvedEvaluationRuntime.model_validate(
            {name: getattr(runtime, name) for name in ResolvedRuntime.model_fields}
        ),
    )
