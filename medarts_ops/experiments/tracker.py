"""Who knows of an experiment's trainings: those of before, and whom those to come ask and tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.experiment import FinishedTraining, Training
from medarts_ops.observers import DatasetSummary, EvaluationObserver, SearchObserver
from medarts_ops.proposers import Proposer
from medarts_ops.space.genotype import Genotype


class SearchListeners(NamedTuple):
    """Who a search of an experiment asks and tells: its `proposer` (None: the config's own values) and observers."""

    proposer: Proposer | None = None
    observers: Sequence[SearchObserver] = ()


class TrainingTracker(Protocol):
    """Who knows of an experiment's trainings, those of before and those to come. Folders are there when it is asked."""

    def known(self, training: Training, genotype: Genotype | None) -> FinishedTraining | None:
        """An equal training of before that is taken over; `genotype` is what an evaluation would train."""

    def search(
        self, training: Training, folder: Path, config: ResolvedSearchConfig, dataset: DatasetSummary
    ) -> SearchListeners:
        """Who a search asks and tells."""

    def evaluation(self, training: Training, folder: Path) -> Sequence[EvaluationObserver]:
        """Who is told of an evaluation."""


class Untracked:
    """A tracker that knows and tells nobody."""

    def known(self, training: Training, genotype: Genotype | None) -> FinishedTraining | None:
        return None

    def search(
        self, training: Training, folder: Path, config: ResolvedSearchConfig, dataset: DatasetSummary
    ) -> SearchListeners:
        return SearchListeners()

    def evaluation(self, training: Training, folder: Path) -> Sequence[EvaluationObserver]:
        return ()
