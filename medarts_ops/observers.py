"""What happens in a search or an evaluation, and in any job, as values, and who may be told."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Literal, Protocol, Self, TypeVar

from pydantic import Field, JsonValue

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.dataset_summary import DatasetSummary as DatasetSummary  # part of how jobs begin
from medarts_ops.derived import DerivedEpoch, DerivedOutcome
from medarts_ops.errors import FailureCause
from medarts_ops.individual import (
    EpochRecord,
    EvaluatedIndividual,
    EvaluationEpoch,
    EvaluationResult,
    FailedIndividual,
    Individual,
    PrunedIndividual,
    SearchResult,
    StageResult,
    Yardstick,
    individual_of,
)
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value

JobState = Literal["finished", "stopped", "unfinished"]  # how a job stands


class JobEvent(Value):
    """Something that happened in a job.

    `job_state` is how a job stands whose newest event it is; `place` names what tells it from others of its kind.
    """

    job_state: ClassVar[JobState] = "unfinished"
    place: ClassVar[tuple[str, ...]] = ()
    kind: str

    @property
    def key(self) -> str:
        """What makes the event unique within its job."""
        return self.key_at(*(attrgetter(path)(self) for path in self.place))

    @classmethod
    def key_at(cls, *place: object) -> str:
        """The key of the event of this kind at that `place`, such as `epoch_finished/init-00/3`."""
        return "/".join(str(word) for word in (cls.model_fields["kind"].default, *place))

    def seen_from(self, folder: Path | None) -> Self:
        """The event as observers are told it: file names in it are paths below the job's folder."""
        return self


class JobStopped(JobEvent):
    """A job ended early: by a person or a signal (`interrupted`), or by an error.

    `number` counts the stops of a job from 0: one that is resumed may stop again. `cause` is given
    where the training that the job is diverged, which it would do again.
    """

    job_state = "stopped"
    reason: str
    interrupted: bool
    number: int = 0
    cause: FailureCause | None = None

    @property
    def key(self) -> str:
        """What makes the event unique within its job; the first stop has no number there."""
        return self.key_at(*[self.number] * (self.number > 0))


class ProcessStarted(JobEvent):
    """A process begins to work on the job, or to go on with it.

    `record` is what it takes to get its bits again, as JSON of `reproducibility.py`, whose version says how it is read;
    `name` is its file's, which tells starts apart by their millisecond (their second, in earlier releases).
    """

    place = ("name",)
    kind: Literal["process_started"] = "process_started"
    name: Annotated[str, Field(pattern=r"^\d{8}T\d{6}(\.\d{3})?Z\.json$")]
    record: dict[str, JsonValue]


Event = TypeVar("Event", bound=JobEvent)
Told = TypeVar("Told", contravariant=True)


class Observer(Protocol[Told]):
    """Someone who is told what happens in a job; called by the driving process alone, in order."""

    def notify(self, event: Told) -> None:
        """Take note of one event. Must not change it, and must not raise for what is not the job's fault."""
        ...


class FanOut(Generic[Event]):
    """An observer that passes every event on to several, in their order."""

    def __init__(self, observers: Sequence[Observer[Event]]) -> None:
        self._observers = tuple(observers)

    def notify(self, event: Event) -> None:
        for observer in self._observers:
            observer.notify(event)


class SearchStarted(JobEvent):
    """A search begins. `evaluate` are settings of evaluations of what it finds, over those of its preset."""

    added_later = frozenset({"evaluate"})

    kind: Literal["search_started"] = "search_started"
    search_id: str
    config: ResolvedSearchConfig
    dataset: DatasetSummary
    evaluate: dict[str, JsonValue] = {}


class StageStarted(JobEvent):
    """A stage begins. `survivors` are the ids that go on from the stage before, best first.

    `yardstick` is None in journals of earlier releases.
    """

    added_later = frozenset({"yardstick"})

    place = ("index",)
    kind: Literal["stage_started"] = "stage_started"
    index: int
    name: str
    survivors: tuple[str, ...]
    images: int
    yardstick: Yardstick | None = None


class PopulationBorn(JobEvent):
    """Individuals exist, with their α, and are about to be trained. `round` counts proposals' generations from 0."""

    place = ("stage", "round")
    kind: Literal["population_born"] = "population_born"
    stage: int
    round: int
    individuals: tuple[Individual, ...]


class EpochFinished(JobEvent):
    place = ("individual_id", "record.epoch")
    kind: Literal["epoch_finished"] = "epoch_finished"
    individual_id: str
    record: EpochRecord


class DerivedEpochFinished(JobEvent):
    """An epoch of the short training of the genotype of that identity is over."""

    place = ("genotype", "record.epoch")
    kind: Literal["derived_epoch_finished"] = "derived_epoch_finished"
    genotype: str
    record: DerivedEpoch


class GenotypeTrained(JobEvent):
    """What came of the short training of a genotype, which happens once in a search; `stage` is where it was first."""

    place = ("outcome.genotype.identity",)
    kind: Literal["genotype_trained"] = "genotype_trained"
    stage: int
    outcome: DerivedOutcome


class IndividualFinished(JobEvent):
    """An individual was trained and measured, or failed."""

    place = ("individual.id",)
    kind: Literal["individual_finished"] = "individual_finished"
    outcome: EvaluatedIndividual | FailedIndividual

    @property
    def individual(self) -> Individual:
        """The individual, whatever became of it."""
        return individual_of(self.outcome)


class PopulationPruned(JobEvent):
    """A population was compared before its stage's end: ids of those that go on, and who was ended, best first.

    Who failed before is in neither.
    """

    place = ("stage", "round")
    kind: Literal["population_pruned"] = "population_pruned"
    stage: int
    round: int
    kept: tuple[str, ...]
    pruned: tuple[PrunedIndividual, ...]


class StageFinished(JobEvent):
    place = ("result.index",)
    kind: Literal["stage_finished"] = "stage_finished"
    result: StageResult


class SearchFinished(JobEvent):
    job_state = "finished"
    kind: Literal["search_finished"] = "search_finished"
    result: SearchResult


class SearchStopped(JobStopped):
    kind: Literal["search_stopped"] = "search_stopped"


SearchEvent = Annotated[
    SearchStarted
    | ProcessStarted
    | StageStarted
    | PopulationBorn
    | EpochFinished
    | DerivedEpochFinished
    | GenotypeTrained
    | PopulationPruned
    | IndividualFinished
    | StageFinished
    | SearchFinished
    | SearchStopped,
    Field(discriminator="kind"),
]

SearchObserver = Observer[SearchEvent]  # someone who is told what happens in a search


class EvaluationStarted(JobEvent):
    """Full-size training of a genotype begins.

    `mean` and `std` are [channel], of the training images' pixels scaled to 0…1: what the network sees its images
    normalised by. None in evaluations that began before these were kept. They follow from the images, whose
    fingerprint is in `dataset`.
    """

    without_effect = frozenset({"mean", "std"})

    kind: Literal["evaluation_started"] = "evaluation_started"
    config: ResolvedEvaluateConfig
    genotype: Genotype
    parameters: int
    dataset: DatasetSummary
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


class EvaluationEpochFinished(JobEvent):
    place = ("record.epoch",)
    kind: Literal["evaluation_epoch_finished"] = "evaluation_epoch_finished"
    record: EvaluationEpoch


class EvaluationFinished(JobEvent):
    """The genotype is trained; `weights_file` holds the network's state dict, where it was asked for."""

    job_state = "finished"
    kind: Literal["evaluation_finished"] = "evaluation_finished"
    result: EvaluationResult
    weights_file: str | None = None

    def seen_from(self, folder: Path | None) -> Self:
        """The same, with the path of the weights' file: a journal has its name alone, since folders are moved."""
        if folder is None or self.weights_file is None:
            return self
        return self.model_copy(update={"weights_file": str(folder / self.weights_file)})


class EvaluationStopped(JobStopped):
    kind: Literal["evaluation_stopped"] = "evaluation_stopped"


EvaluationEvent = Annotated[
    EvaluationStarted | ProcessStarted | EvaluationEpochFinished | EvaluationFinished | EvaluationStopped,
    Field(discriminator="kind"),
]

EvaluationObserver = Observer[EvaluationEvent]  # someone who is told what happens in an evaluation
