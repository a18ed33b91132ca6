"""An experiment with its tracking: the core's function composed with MLflow, Optuna and what a store holds already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import ConfigError, RunError, StoreError
from medarts_ops.experiment import (
    ExperimentEvent,
    ExperimentObserver,
    ExperimentPlan,
    ExperimentResult,
    FinishedTraining,
    Training,
)
from medarts_ops.experiments.network import ArmSettings
from medarts_ops.experiments.run import run_experiment
from medarts_ops.experiments.summarize import cells_flat, summarize
from medarts_ops.experiments.sweep import plan_sweep, resolved_arms
from medarts_ops.experiments.tracker import SearchListeners
from medarts_ops.experiments.trainings import job_name
from medarts_ops.journal.folder import LONGEST_JOB_NAME, check_job_name, fresh_name
from medarts_ops.journal.job import new_folder
from medarts_ops.observers import (
    DatasetSummary,
    EvaluationEvent,
    EvaluationObserver,
    Event,
    JobEvent,
    Observer,
    SearchEvent,
)
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.proposal_outcomes import PatientProposer
from medarts_ops.space.genotype import Genotype
from medarts_ops.summary import Summary
from medarts_ops.tracking.place import PLACE, Place, write_place
from medarts_ops.tracking.reading.equal_trainings import EqualTrainings
from medarts_ops.tracking.reading.jobs import check_name_is_free, check_no_name_begins
from medarts_ops.tracking.recorders import (
    EvaluationRecorder,
    ExperimentRecorder,
    SearchRecorder,
    evaluation_recorder,
    experiment_recorder,
    search_recorder,
)
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage

if TYPE_CHECKING:
    import pandas as pd

    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)

OnTraining = Callable[[Training, JobEvent], None]
"""Who is told every event of each training."""


class TrackedExperiment(NamedTuple):
    """A finished experiment and where MLflow holds it.

    `run_ids` maps a training's key to its run, that of an earlier job where it was taken over. `waiting` is the number
    of events that the stores did not take, of the experiment and of its trainings: `sync` tells them.
    """

    result: ExperimentResult
    summary: Summary
    run_id: str
    experiment_id: str
    run_ids: Mapping[str, str]
    waiting: int

    def table(self) -> pd.DataFrame:
        """The table: a row for each thing compared; an estimate is several columns (`error`, `error_std`, …)."""
        import pandas as pd

        return pd.DataFrame(cells_flat(self.summary))


def tracked_experiment(
    plan: ExperimentPlan,
    *,
    name: str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    fresh: bool = False,
    observers: Sequence[ExperimentObserver] = (),
    on_training: OnTraining | None = None,
) -> TrackedExperiment:
    """Train all that a plan holds; the experiment becomes an MLflow run, each training a run below it.

    A training that is equal to a finished one of this store is taken over from there, unless `fresh`.

    Args:
        plan: what `reproduction` or `plan_sweep` gave.
        name: the experiment's: its folder and its run; made of what it is and the time if None.
        tracking_uri, experiment, storage, work_dir: as for `tracked_search`.
        pictures: log the figure and the report; trainings of an experiment have no pictures of their own.
        system_metrics: log how busy the machine is while the job runs, too, on the job's own run.
        observers: told of every event of the experiment, after MLflow.
        on_training: told of every event of each training.

    Raises:
        MedartsError: a bad name, or one that is taken; bad data or stores.
    """
    name = fresh_name(plan.kind, plan.datasets[plan.arms[0].fingerprint].name) if name is None else name
    check_job_name(name)
    store = open_store(tracking_uri, experiment=experiment)
    _check_names_are_free(store, name, plan)
    plan = plan.model_copy(update={"fresh": fresh})
    with new_folder(Path(work_dir), name) as folder:
        recorder = experiment_recorder(store, folder, pictures=pictures, system_metrics=system_metrics)
        patient = PatientObserver[ExperimentEvent](recorder.observer)
        tracker = TrackedTrainings(store, plan, recorder, storage, on_training)
        result = run_experiment(plan, folder, observers=(patient, *observers), tracker=tracker)
    return finished_experiment(result, recorder, tracker, patient.waiting)


def _check_names_are_free(store: RunStore, name: str, plan: ExperimentPlan) -> None:
    """Refuse names of older jobs, the experiment's and its trainings', and one to which these are too long."""
    check_name_is_free(store, "experiment", name)
    longest = max(len(job_name("", training)) for training in plan.trainings)
    if len(name) + longest > LONGEST_JOB_NAME:
        raise ConfigError(
            f"name {name!r} has {len(name)} characters: allowed are {LONGEST_JOB_NAME - longest}, since the names of "
            "this experiment's trainings begin with it"
        )
    check_no_name_begins(store, f"{name}.")


def sweep(
    arms: Sequence[ArmSettings],
    *,
    seeds: Sequence[int],
    workers: int = 1,
    name: str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    fresh: bool = False,
    observers: Sequence[ExperimentObserver] = (),
    on_training: OnTraining | None = None,
) -> TrackedExperiment:
    """Compare settings: each arm with each seed, against the first; arguments and errors as of `tracked_experiment`."""
    plan = plan_sweep(resolved_arms(arms), seeds=seeds, workers=workers)
    return tracked_experiment(
        plan,
        name=name,
        tracking_uri=tracking_uri,
        experiment=experiment,
        storage=storage,
        work_dir=work_dir,
        pictures=pictures,
        system_metrics=system_metrics,
        fresh=fresh,
        observers=observers,
        on_training=on_training,
    )


def finished_experiment(
    result: ExperimentResult, recorder: ExperimentRecorder, tracker: TrackedTrainings, waiting: int
) -> TrackedExperiment:
    """A finished experiment with its run and those of its trainings."""
    mlflow, summary = recorder.mlflow, summarize(result)  # a store that was away may not know all of it
    run_ids = {**tracker.run_ids(), **result.taken_over}
    run_ids |= {key: run_ids[first] for key, first in result.plan.repeated.items() if first in run_ids}
    waiting += tracker.waiting()
    return TrackedExperiment(result, summary, mlflow.run_id, mlflow.experiment_id, run_ids, waiting)


class TrackedTrainings:
    """Tracks an experiment's trainings, as a `TrainingTracker`: each has the recorder that a job of its kind has."""

    def __init__(
        self,
        store: RunStore,
        plan: ExperimentPlan,
        experiment: ExperimentRecorder,
        storage: str | None,
        on_training: OnTraining | None,
    ) -> None:
        self._store, self._storage, self._experiment = store, storage, experiment.mlflow
        self._equal = None if plan.fresh else EqualTrainings(store, plan)
        self._on_training = on_training
        self._recorders: dict[str, _FirstTold[Any]] = {}
        self._patient: list[PatientObserver[Any]] = []

    def known(self, training: Training, genotype: Genotype | None) -> FinishedTraining | None:
        """An equal training that the store holds; none where the store is away or can't say."""
        if self._equal is None:
            return None
        try:
            return self._equal.find(training, genotype)
        except (StoreError, RunError) as error:
            _logger.warning("%s is trained anew: %s", training.key, error)
            return None

    def search(
        self, training: Training, folder: Path, config: ResolvedSearchConfig, dataset: DatasetSummary
    ) -> SearchListeners:
        """A search's proposer and observers."""
        self._place(training, folder)
        studies = open_study_storage(self._storage)
        recorder = search_recorder(self._store, studies, folder, config, dataset, pictures=False)
        observers = self._told(training, lambda: recorder)
        return SearchListeners(PatientProposer(recorder.proposer), observers)

    def evaluation(self, training: Training, folder: Path) -> Sequence[EvaluationObserver]:
        """An evaluation's observers."""
        self._place(training, folder)
        return self._told(training, lambda: evaluation_recorder(self._store, folder, pictures=False))

    def run_ids(self) -> dict[str, str]:
        """The runs of the trainings that were told of, by their keys; those that no store took are missing."""
        return {key: run_id for key, first in self._recorders.items() if (run_id := first.run_id()) is not None}

    def waiting(self) -> int:
        """The events of trainings that the stores did not take."""
        return sum(patient.waiting for patient in self._patient)

    def _place(self, training: Training, folder: Path) -> None:
        if (folder / PLACE).exists():
            return
        source, arm = training.arm.source, training.arm
        place = Place(experiment=self._experiment.name, arm=arm.name, parent_run_id=self._experiment.known_run_id)
        if source is not None and training.kind == "evaluation":
            found = {"evaluates": source.run_id, "search": source.search, "individual": source.individual}
            place = place.model_copy(update=found)
        write_place(folder, place)

    def _told(self, training: Training, make: Callable[[], SearchRecorder | EvaluationRecorder]) -> list[Any]:
        first: _FirstTold[Any] = _FirstTold(make)
        patient: PatientObserver[Any] = PatientObserver(first, begun=True)
        self._recorders[training.key] = first
        self._patient.append(patient)
        on_training = self._on_training
        return [patient] if on_training is None else [patient, _Listening(training, on_training)]


class _FirstTold(Generic[Event]):
    """A recorder that is made when it is first told of something: a store may be away until then."""

    def __init__(self, make: Callable[[], SearchRecorder | EvaluationRecorder]) -> None:
        self._make = make
        self._recorder: SearchRecorder | EvaluationRecorder | None = None

    def notify(self, event: Event) -> None:
        """Tell the recorder."""
        if self._recorder is None:
            self._recorder = self._make()
        observer: Observer[Any] = self._recorder.observer
        observer.notify(event)

    def run_id(self) -> str | None:
        """The run, if it was made."""
        return None if self._recorder is None else self._recorder.mlflow.known_run_id


class _Listening(NamedTuple):
    """Tells somebody what happens in a training, and which one."""

    training: Training
    on_training: OnTraining

    def notify(self, event: SearchEvent | EvaluationEvent) -> None:
        """Pass it on."""
        self.on_training(self.training, event)
