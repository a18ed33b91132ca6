"""An evaluation with its tracking: the core's function composed with MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medarts_ops.bench.within_budget import FittedEvaluation, evaluation_within_budget
from medarts_ops.config import EvaluateConfig
from medarts_ops.errors import ConfigError
from medarts_ops.evaluation import run_evaluation
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.folder import check_job_name, fresh_name
from medarts_ops.journal.job import new_folder
from medarts_ops.observers import EvaluationEvent, EvaluationObserver
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.resolving import resolve_evaluation
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.place import Place, write_place
from medarts_ops.tracking.reading.contents import found_by
from medarts_ops.tracking.reading.jobs import check_name_is_free
from medarts_ops.tracking.reading.relations import Evaluated, find_evaluated
from medarts_ops.tracking.recorders import EvaluationRecorder, evaluation_recorder
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.vocabulary import INDIVIDUAL_TAG, SEARCH_TAG

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class TrackedEvaluation(NamedTuple):
    """A finished evaluation and where MLflow holds it.

    `waiting` is the number of events that the store did not take, because it was away to the end: result and weights
    are in the evaluation's folder, and `resumed_evaluation` tells them. `fitted` is as a search's.
    """

    result: EvaluationResult
    name: str
    run_id: str
    experiment_id: str
    waiting: int
    fitted: FittedEvaluation | None = None


def tracked_evaluation(
    config: EvaluateConfig,
    *,
    run_id: str | Evaluated | None = None,
    genotype: Genotype | None = None,
    name: str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    observers: Sequence[EvaluationObserver] = (),
    on_fitted: Callable[[FittedEvaluation], None] = lambda _: None,
    began: float | None = None,
) -> TrackedEvaluation:
    """Train a genotype at full size; the evaluation becomes an MLflow run, under the search whose genotype it is.

    Settings and data are tried before the store is opened: bad input leaves no run behind. The trained weights are
    the run's artifact `weights.pt`, a state dict. A store that goes away later stops nothing.

    Args:
        run_id: a search, stage (its best individual) or individual whose genotype is trained, by its id or as
            `find_evaluated` gave it; or
        genotype: one given by hand. One of the two.
        config, name, tracking_uri, experiment, work_dir, observers: as for `tracked_search`, but for studies. What is
            trained of a run goes to the experiment of its search, wherever that is.
        pictures: log pictures, and the report of the search anew, too.
        system_metrics: log how busy the machine is while the job runs, too, on the job's own run.
        on_fitted: told to what plan an evaluation with a budget (`runtime.budget`) was fitted, before it begins.
        began: when its time began, on the monotonic clock; now if None.

    Raises:
        ConfigError: both or none of `run_id` and `genotype`, or a bad name.
        RunError: no such run, one of the wrong kind, or one that has no genotype yet.
        MedartsError: bad settings, data or store, a name that is taken, or a loss that diverged.
    """
    if (run_id is None) == (genotype is None):
        raise ConfigError("an evaluation needs a run id or a genotype, one of the two")
    began = time.monotonic() if began is None else began
    name = fresh_name("evaluate", config.dataset.name) if name is None else name
    check_job_name(name)
    resolved, dataset = resolve_evaluation(config)
    store, genotype, place = _what_is_trained(run_id, genotype, tracking_uri, experiment)
    check_name_is_free(store, "evaluation", name)
    fitted = evaluation_within_budget(resolved, genotype, dataset.summary(None), began)
    if fitted is not None:
        resolved = fitted.config
        on_fitted(fitted)
    with new_folder(Path(work_dir), name) as folder:
        write_place(folder, place)
        recorder = evaluation_recorder(store, folder, pictures=pictures, system_metrics=system_metrics)
        patient = PatientObserver[EvaluationEvent](recorder.observer)
        result = run_evaluation(resolved, genotype, dataset=dataset, folder=folder, observers=(patient, *observers))
    return finished_evaluation(result, name, recorder, patient.waiting)._replace(fitted=fitted)


def finished_evaluation(
    result: EvaluationResult, name: str, recorder: EvaluationRecorder, waiting: int
) -> TrackedEvaluation:
    """A finished evaluation with its run."""
    return TrackedEvaluation(result, name, recorder.mlflow.run_id, recorder.mlflow.experiment_id, waiting)


def _what_is_trained(
    run_id: str | Evaluated | None, genotype: Genotype | None, tracking_uri: str | None, experiment: str | None
) -> tuple[RunStore, Genotype, Place]:
    if genotype is not None:
        return open_store(tracking_uri, experiment=experiment), genotype, Place()
    if not isinstance(run_id, Evaluated):
        run_id = find_evaluated(str(run_id), tracking_uri=tracking_uri, experiment=experiment)
    return run_id.store, *_stored_genotype(run_id)


def _stored_genotype(evaluated: Evaluated) -> tuple[Genotype, Place]:
    """The genotype of the individual that the run stands for, and where its evaluation belongs."""
    individual, found = found_by(evaluated)
    search = evaluated.search
    names = {"search": search.tags.get(SEARCH_TAG), "individual": individual.tags.get(INDIVIDUAL_TAG)}
    return found, Place(evaluates=individual.run_id, parent_run_id=search.run_id, **names)
