"""What a report is made of: a search as far as it came, its evaluations, and where all of it is tracked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medarts_ops.alpha import Alpha
from medarts_ops.config import SearchConfig
from medarts_ops.evolution.stop_rule import Stop
from medarts_ops.experiment import ExperimentResult
from medarts_ops.individual import EvaluationResult, SearchResult, StageResult
from medarts_ops.observers import DatasetSummary, EvaluationStarted, JobState
from medarts_ops.reproducibility import ReproducibilityRecord
from medarts_ops.summary import Summary


@dataclass(frozen=True)
class ReportedEvaluation:
    """A finished evaluation of one of the search's genotypes: how it began, what came of it, and its run.

    `individual` is the id of the one whose genotype it trained, None where that is not known.
    """

    name: str
    run_id: str
    individual: str | None
    started: EvaluationStarted
    result: EvaluationResult


@dataclass(frozen=True)
class SearchReport:
    """All that a report says.

    Attributes:
        state: how its journal ends.
        config: its settings, without any `auto`.
        stages: the finished ones.
        images: how many each individual of a stage trained on, by the stage's index.
        found: what the search says that it found, and by which rule; None while it is not finished.
        epoch_alphas: α of the individual that was found after each of its epochs; empty where that was not kept.
        stops: by individuals' ids, when DARTS+ would have stopped them; where it would not have, they are missing.
        run_ids: of the individuals, by their ids; those that no store holds are missing.
        evaluations: the finished ones, oldest first.
        record: how its first process came to its numbers; None where that is not known.
        evaluate: settings that evaluations of it begin from.
    """

    search_id: str
    state: JobState
    config: SearchConfig
    dataset: DatasetSummary
    stages: tuple[StageResult, ...]
    images: Mapping[int, int]
    run_id: str
    found: SearchResult | None = None
    epoch_alphas: tuple[Alpha, ...] = ()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    run_ids: Mapping[str, str] = field(default_factory=dict)
    evaluations: tuple[ReportedEvaluation, ...] = ()
    record: ReproducibilityRecord | None = None
    evaluate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> SearchResult | None:
        """What the search found, of the stages as they are here; None while it is not finished."""
        return None if self.found is None else self.found.model_copy(update={"stages": self.stages})

    @property
    def seconds(self) -> float:
        """The search cost of the finished stages, in seconds."""
        return sum(stage.seconds for stage in self.stages)


@dataclass(frozen=True)
class ExperimentReport:
    """All that the page of an experiment says.

    Attributes:
        summary: what it comes to, as far as it came.
        state: how its journal ends.
        run_id: its own run; None where no store holds it.
        run_ids: the runs of its trainings by their keys; those that no store holds are missing.
        command: the line that makes the same experiment; empty where there is none.
    """

    summary: Summary
    result: ExperimentResult
    state: JobState
    run_id: str | None = None
    run_ids: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
