"""An evaluation with its tracking: the core's function composed with MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import ValidationError

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError, RunError, SearchError
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.folder import check_job_name, create_job_folder, fresh_name
from medarts_ops.observers import EvaluationEvent, EvaluationObserver, FanOut
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.resolving import resolve_evaluate_config
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.reading.jobs import find_job, job_in
from medarts_ops.tracking.reading.stored_runs import chosen_individual, evaluated_search, genotype_of
from medarts_ops.tracking.runs.evaluation_pictures import EvaluationPictures
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.tracked_run import EVALUATION_TAG
from medarts_ops.value import Value

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

PLACE = "tracking.json"
"""File in an evaluation's folder: below which runs its own belongs, for the process that resumes it."""


class TrackedEvaluation(NamedTuple):
    """A finished evaluation and where MLflow holds it.

    `waiting` is the number of events that the store did not take, because it was away to the end: result and weights
    are in the evaluation's folder, and `resumed_evaluation` tells them.
    """

    result: EvaluationResult
    name: str
    run_id: str
    experiment_id: str
    waiting: int


class _Place(Value):
    format: Literal["medarts-evaluation-place"] = "medarts-evaluation-place"
    version: Literal[1] = 1
    evaluates: str | None = None
    parent_run_id: str | None = None


def tracked_evaluation(
    config: EvaluateConfig,
    *,
    run_id: str | None = None,
    genotype: Genotype | None = None,
    name: str | None = None,
    tracking_uri: str | None = None,
    work_dir: Path = Path("medarts-work"),
    pictures: bool = True,
    observers: Sequence[EvaluationObserver] = (),
) -> TrackedEvaluation:
    """Train a genotype at full size; the evaluation becomes an MLflow run, under the search whose genotype it is.

    Settings and data are tried before the store is opened: bad input leaves no run behind. The trained weights are
    the run's artifact `weights.pt`, a state dict. A store that goes away later stops nothing.

    Args:
        config: all settings.
        run_id: a search, stage (its front 0's highest acc_valid) or individual whose genotype is trained; or
        genotype: one given by hand. One of the two.
        name: the evaluation's id: its folder and its MLflow run; made of dataset and time if None.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        work_dir: where the evaluation's folder is made.
        pictures: log pictures, and the report of the search anew, too.
        observers: told of every event, after MLflow.

    Raises:
        ConfigError: both or none of `run_id` and `genotype`, or a bad name.
        RunError: no such run, one of the wrong kind, or one that has no genotype yet.
        SearchError: the name is taken.
        MedartsError: bad settings, data or store, or a loss that diverged.
    """
    if (run_id is None) == (genotype is None):
        raise ConfigError("an evaluation needs a run id or a genotype, one of the two")
    resolved = resolve_evaluate_config(config)
    name = fresh_name("evaluate", config.dataset.name) if name is None else name
    check_job_name(name)
    dataset = load_dataset(config.dataset)
    store = open_store(tracking_uri, create=run_id is None)
    place = _Place()
    if run_id is not None:
        place, genotype = _stored_genotype(store, run_id)
    assert genotype is not None
    if store.runs_with(store.experiment_id(), EVALUATION_TAG, name):
        raise SearchError(f"name {name!r} is taken in this tracking store; choose another name")
    folder = create_job_folder(work_dir, name)
    (folder / PLACE).write_text(place.model_dump_json(), encoding="utf-8")
    mlflow, patient = _recorder(store, folder, place, pictures=pictures)
    try:
        result = run_evaluation(resolved, genotype, dataset=dataset, folder=folder, observers=(patient, *observers))
    except BaseException:
        if job_in(work_dir, name) is None:
            shutil.rmtree(folder, ignore_errors=True)  # nothing began that could be resumed
        raise
    return _tracked(result, name, mlflow, patient.waiting)


def resumed_evaluation(
    evaluation: str,
    *,
    tracking_uri: str | None = None,
    work_dir: Path = Path("medarts-work"),
    pictures: bool = True,
    observers: Sequence[EvaluationObserver] = (),
) -> TrackedEvaluation:
    """Go on with an evaluation that was stopped or killed, in its own run. One that is finished is told again.

    Args:
        evaluation: its name, or its run's id.
        tracking_uri: the MLflow store that it began with.
        work_dir: where its folder is.
        pictures: log pictures, and the report of the search anew, too.
        observers: told of every event, after MLflow; of those that happened before, too.

    Raises:
        SearchError: no folder of that evaluation, or one that another process works on.
        RunError: no such run.
        MedartsError: as for `tracked_evaluation`.
    """
    job = find_job(evaluation, tracking_uri=tracking_uri, work_dir=work_dir)
    if job.kind != "evaluation":
        raise SearchError(f"{evaluation!r} is a search: `resumed_search` goes on with it")
    if job_in(work_dir, job.name) is None:
        raise SearchError(
            f"evaluation {job.name!r} has no folder in {str(work_dir)!r}, and no other place keeps its weights: "
            "--work-dir names where it was started, or evaluate again"
        )
    folder = work_dir / job.name
    store = open_store(tracking_uri)
    mlflow, patient = _recorder(store, folder, _read_place(folder / PLACE), pictures=pictures)
    result = resume_evaluation(folder, observers=(patient, *observers))
    return _tracked(result, job.name, mlflow, patient.waiting)


def _recorder(
    store: RunStore, folder: Path, place: _Place, *, pictures: bool
) -> tuple[MlflowEvaluationObserver, PatientObserver[EvaluationEvent]]:
    """Whoever writes an evaluation down, in order: pictures belong to a run that MLflow has made."""
    mlflow = MlflowEvaluationObserver(store, folder.name, evaluates=place.evaluates, parent_run_id=place.parent_run_id)
    drawn = EvaluationPictures(store, mlflow, folder.name, search_run_id=place.parent_run_id, work_dir=folder.parent)
    everybody = FanOut[EvaluationEvent]([mlflow, drawn] if pictures else [mlflow])
    return mlflow, PatientObserver[EvaluationEvent](everybody)


def _tracked(result: EvaluationResult, name: str, mlflow: MlflowEvaluationObserver, waiting: int) -> TrackedEvaluation:
    return TrackedEvaluation(
        result=result, name=name, run_id=mlflow.run_id, experiment_id=mlflow.experiment_id, waiting=waiting
    )


def _read_place(path: Path) -> _Place:
    try:
        return _Place.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SearchError(
            f"{str(path)!r} can't be read ({str(error).splitlines()[0]}): restore it, or evaluate again"
        ) from error


def _stored_genotype(store: RunStore, run_id: str) -> tuple[_Place, Genotype]:
    """The runs of the individual and of its search, and the individual's genotype."""
    run = store.find_run(run_id)
    search = evaluated_search(store, run)
    individual = chosen_individual(store, run)
    found = None if individual is None else genotype_of(store, individual)
    if individual is None or found is None:
        raise RunError(
            f"run {run.run_id} ({run.name}) has no genotype: it is {run.status.lower()}; allowed are finished "
            f"searches, stages and individuals: `medarts resume {search.name}` goes on with one that was stopped"
        )
    return _Place(evaluates=individual.run_id, parent_run_id=search.run_id), found
