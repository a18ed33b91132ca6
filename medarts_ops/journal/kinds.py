"""The kinds of jobs: what happens in each, how it begins and how it stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from medarts_ops.experiment import ExperimentEvent, ExperimentStarted, ExperimentStopped
from medarts_ops.journal.evaluation_folder import STARTED, earlier_events
from medarts_ops.observers import (
    EvaluationEvent,
    EvaluationStarted,
    EvaluationStopped,
    Event,
    JobEvent,
    SearchEvent,
    SearchStarted,
    SearchStopped,
)

Started = TypeVar("Started", bound=JobEvent)


@dataclass(frozen=True)
class JobKind(Generic[Event, Started]):
    """One kind: its `name`, also with an article, its events, the one that begins it and how one that ends it is made.

    A folder of an earlier release, without a journal, holds the file `earlier_file` and is read by `earlier_events`.
    """

    name: str
    with_article: str
    events: TypeAdapter[Event]
    started: type[Started]
    stopped: Callable[..., Event]
    earlier_file: str | None = None
    earlier_events: Callable[[Path], tuple[Event, ...]] = lambda folder: ()

    def has_earlier_file(self, folder: Path) -> bool:
        return self.earlier_file is not None and (folder / self.earlier_file).is_file()


SEARCH: JobKind[SearchEvent, SearchStarted] = JobKind(
    "search", "a search", TypeAdapter(SearchEvent), SearchStarted, SearchStopped
)
EVALUATION: JobKind[EvaluationEvent, EvaluationStarted] = JobKind(
    "evaluation",
    "an evaluation",
    TypeAdapter(EvaluationEvent),
    EvaluationStarted,
    EvaluationStopped,
    STARTED,
    earlier_events,
)
EXPERIMENT: JobKind[ExperimentEvent, ExperimentStarted] = JobKind(
    "experiment", "an experiment", TypeAdapter(ExperimentEvent), ExperimentStarted, ExperimentStopped
)
KINDS: dict[str, JobKind[Any, Any]] = {kind.name: kind for kind in (SEARCH, EVALUATION, EXPERIMENT)}
