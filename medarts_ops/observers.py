"""What happens in a search and in an evaluation, as values, and who may be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from pydantic import Field

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.individual import (
    EpochRecord,
    EvaluatedIndividual,
    EvaluationEpoch,
    EvaluationResult,
    FailedIndividual,
    Individual,
    SearchResult,
    StageResult,
)
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value

Event = TypeVar("Event")
Told = TypeVar("Told", contravariant=True)


class DatasetSummary(Value):
    """A dataset in words and numbers: what a reader of a run needs to trust or repeat it.

    `resolution` is height × width of the images as loaded; `search_resolution` what the supernet sees (D_low).
    `test_source` says where the test set comes from. `fingerprint` is a hash of images and labels.
    """

    name: str
    class_names: tuple[str, ...]
    n_train: int
    n_test: int
    in_channels: int
    resolution: tuple[int, int]
    search_resolution: tuple[int, int] | None
    test_source: str
    fingerprint: str


class SearchStarted(Value):
    """A search begins."""

    kind: Literal["search_started"] = "search_started"
    search_id: str
    config: ResolvedSearchConfig
    dataset: DatasetSummary

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return self.kind


class StageStarted(Value):
    """A stage begins. `survivors` are the ids that go on from the stage before, best first."""

    kind: Literal["stage_started"] = "stage_started"
    index: int
    name: str
    survivors: tuple[str, ...]
    images: int

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return f"{self.kind}/{self.index}"


class PopulationBorn(Value):
    """Individuals exist, with their α, and are about to be trained. `round` counts proposals' generations from 0."""

    kind: Literal["population_born"] = "population_born"
    stage: int
    round: int
    individuals: tuple[Individual, ...]

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return f"{self.kind}/{self.stage}/{self.round}"


class EpochFinished(Value):
    """An individual finished an epoch."""

    kind: Literal["epoch_finished"] = "epoch_finished"
    individual_id: str
    record: EpochRecord

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return f"{self.kind}/{self.individual_id}/{self.record.epoch}"


class IndividualFinished(Value):
    """An individual was trained and measured, or failed."""

    kind: Literal["individual_finished"] = "individual_finished"
    outcome: EvaluatedIndividual | FailedIndividual

    @property
    def individual(self) -> Individual:
        """The individual, whatever became of it."""
        match self.outcome:
            case EvaluatedIndividual(trained=trained):
                return trained.individual
            case FailedIndividual(individual=individual):
                return individual

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return f"{self.kind}/{self.individual.id}"


class StageFinished(Value):
    """A stage was ranked."""

    kind: Literal["stage_finished"] = "stage_finished"
    result: StageResult

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return f"{self.kind}/{self.result.index}"


class SearchFinished(Value):
    """The search found its architecture."""

    kind: Literal["search_finished"] = "search_finished"
    result: SearchResult

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return self.kind


class SearchStopped(Value):
    """The search ended early: by a person or a signal (`interrupted`), or by an error.

    `number` counts the stops of a search from 0: one that is resumed may stop again.
    """

    kind: Literal["search_stopped"] = "search_stopped"
    reason: str
    interrupted: bool
    number: int = 0

    @property
    def key(self) -> str:
        """What makes the event unique within its search."""
        return self.kind if self.number == 0 else f"{self.kind}/{self.number}"


def how_it_stopped(error: BaseException) -> tuple[str, bool]:
    """The `reason` and `interrupted` of an early end; Ctrl-C has no message of its own."""
    interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
    return str(error) or ("interrupted" if interrupted else type(error).__name__), interrupted


SearchEvent = Annotated[
    SearchStarted
    | StageStarted
    | PopulationBorn
    | EpochFinished
    | IndividualFinished
    | StageFinished
    | SearchFinished
    | SearchStopped,
    Field(discriminator="kind"),
]


SearchState = Literal["finished", "stopped", "unfinished"]


def state_after(last: SearchEvent) -> SearchState:
    """How a search stands whose newest event is `last`."""
    match last:
        case SearchFinished():
            return "finished"
        case SearchStopped():
            return "stopped"
        case _:
            return "unfinished"


class SearchObserver(Protocol):
    """Someone who is told what happens in a search; called by the driving process alone, in order."""

    def notify(self, event: SearchEvent) -> None:
        """Take note of one event. Must not change it, and must not raise for what is not the search's fault."""
        ...


class Observer(Protocol[Told]):
    """Someone who is told events: a SearchObserver or an EvaluationObserver."""

    def notify(self, event: Told) -> None:
        """Take note of one event."""
        ...


class FanOut(Generic[Event]):
    """An observer that passes every event on to several, in their order."""

    def __init__(self, observers: Sequence[Observer[Event]]) -> None:
        self._observers = tuple(observers)

    def notify(self, event: Event) -> None:
        """Tell everyone."""
        for observer in self._observers:
            observer.notify(event)


class EvaluationStarted(Value):
    """Full-size training of a genotype begins.

    `mean` and `std` are [channel], of the training images' pixels scaled to 0…1: what the network sees its images
    normalised by. None in evaluations that began before these were kept.
    """

    kind: Literal["evaluation_started"] = "evaluation_started"
    config: ResolvedEvaluateConfig
    genotype: Genotype
    parameters: int
    dataset: DatasetSummary
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


class EvaluationEpochFinished(Value):
    """An epoch of full-size training is over."""

    kind: Literal["evaluation_epoch_finished"] = "evaluation_epoch_finished"
    record: EvaluationEpoch


class EvaluationFinished(Value):
    """The genotype is trained; `weights_file` holds the network's state dict, where it was asked for."""

    kind: Literal["evaluation_finished"] = "evaluation_finished"
    result: EvaluationResult
    weights_file: str | None = None


class EvaluationStopped(Value):
    """The evaluation ended early: by a person or a signal (`interrupted`), or by an error."""

    kind: Literal["evaluation_stopped"] = "evaluation_stopped"
    reason: str
    interrupted: bool


EvaluationEvent = EvaluationStarted | EvaluationEpochFinished | EvaluationFinished | EvaluationStopped


class EvaluationObserver(Protocol):
    """Someone who is told what happens in an evaluation."""

    def notify(self, event: EvaluationEvent) -> None:
        """Take note of one event."""
        ...
