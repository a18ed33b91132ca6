"""A search's events in Optuna, and in both stores together; all of it may be told twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.storages import BaseStorage

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import StoreError
from medarts_ops.individual import EvaluatedIndividual, FailedIndividual, Hyperparameters
from medarts_ops.observers import (
    FanOut,
    IndividualFinished,
    PopulationBorn,
    SearchEvent,
    SearchObserver,
    StageFinished,
)
from medarts_ops.proposers import Proposer
from medarts_ops.tracking.reading.search_report import SearchReporter
from medarts_ops.tracking.runs.journal_copy import JournalCopy
from medarts_ops.tracking.runs.picture_log import SearchPictures
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.studies.stage_record import record_stage

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

Outcome = EvaluatedIndividual | FailedIndividual


def search_recorder(
    store: RunStore,
    mlflow: MlflowSearchObserver,
    studies: BaseStorage,
    folder: Path,
    config: ResolvedSearchConfig,
    proposer: Proposer,
    *,
    pictures: bool,
) -> FanOut[SearchEvent]:
    """Whoever writes a search down, in order: the others' records and pictures belong to runs that MLflow has made."""
    stages = StageRecorder(studies, folder.name, config, mlflow.run_id_of, mlflow.stage_run_id)
    journal = JournalCopy(store, folder, lambda: mlflow.search_run_id)
    recorders: list[SearchObserver] = [mlflow, journal, ProposalRecorder(proposer), stages]
    if pictures:
        report = SearchReporter(store, folder, lambda: mlflow.search_run_id)
        recorders += [SearchPictures(store, mlflow), report]
    return FanOut[SearchEvent](recorders)


class StageRecorder:
    """Writes each finished stage into its Optuna study, once.

    Args:
        storage: where the study is.
        search_id: the search's name, which the study's begins with.
        config: the search's settings.
        run_id_of: from an individual's id to its MLflow run's.
        stage_run_id: from a stage's index to its MLflow run's.

    Raises (from `notify`):
        StoreError: the storage failed; telling the event again makes up for it.
    """

    def __init__(
        self,
        storage: BaseStorage,
        search_id: str,
        config: ResolvedSearchConfig,
        run_id_of: Callable[[str], str],
        stage_run_id: Callable[[int], str],
    ) -> None:
        self._storage, self._search_id, self._config = storage, search_id, config
        self._run_id_of, self._stage_run_id = run_id_of, stage_run_id

    def notify(self, event: SearchEvent) -> None:
        """Take note of finished stages."""
        if isinstance(event, StageFinished):
            result, stage_run_id = event.result, self._stage_run_id(event.result.index)
            record_stage(self._storage, self._search_id, result, self._config, self._run_id_of, stage_run_id)


class ProposalRecorder:
    """Tells the proposer what came of a round when its last individual has finished, from the events alone.

    Raises (from `notify`):
        StoreError: the proposer's storage failed; telling the event again makes up for it.
    """

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._rounds: dict[int, tuple[str, ...]] = {}
        self._outcomes: dict[str, Outcome] = {}

    def notify(self, event: SearchEvent) -> None:
        """Take note of the first stage's individuals: only they were proposed."""
        match event:
            case PopulationBorn(stage=0, round=round, individuals=individuals):
                self._rounds[round] = tuple(individual.id for individual in individuals)
            case IndividualFinished(outcome=outcome) if event.individual.stage == 0:
                self._outcomes[event.individual.id] = outcome
                for round, members in self._rounds.items():
                    if event.individual.id in members and self._outcomes.keys() >= set(members):
                        self._proposer.tell(round, [self._outcomes[member] for member in members])


class PatientProposer:
    """A proposer that is told later what its storage can't take now, at the latest before it proposes again.

    Raises (from `propose`):
        StoreError: the storage is away: nobody else can say what to try next, and guesses would change the search.
    """

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._untold: list[tuple[int, Sequence[Outcome]]] = []

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        """The hyperparameters of the `n` individuals of this round, in the individuals' order."""
        self._tell_untold()
        return self._proposer.propose(round, n)

    def tell(self, round: int, outcomes: Sequence[Outcome]) -> None:
        """What came of a round, in the order that `propose` gave."""
        self._untold.append((round, outcomes))
        with suppress(StoreError):
            self._tell_untold()

    def _tell_untold(self) -> None:
        while self._untold:
            round, outcomes = self._untold[0]
            self._proposer.tell(round, outcomes)
            self._untold.pop(0)
