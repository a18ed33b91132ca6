"""What a run's parameters, metrics and artifacts say: settings, objectives, genotype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError

from medarts_ops.class_report import ClassReport
from medarts_ops.config import ResolvedObjective, ResultConfig
from medarts_ops.errors import MedartsError, RunError
from medarts_ops.evolution import choice
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.artifacts.classes import read_confusion
from medarts_ops.tracking.artifacts.files import unversioned
from medarts_ops.tracking.artifacts.shapes import read_genotype, reason_of
from medarts_ops.tracking.reading.relations import Evaluated, chosen_individual
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import (
    ACCURACY,
    BALANCED_ACCURACY,
    CONFIG,
    CONFUSION,
    GENOTYPE,
    JOB_OF_RUN,
    JOBS,
    PRUNED_TAG,
)
from medarts_ops.value import Value

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


WEIGHTS = "result.weights."
"""What the parameters of weights begin with."""


class _Stored(Value):
    """What is read back of a search's settings; the rest may be another release's."""

    model_config = ConfigDict(extra="ignore")


class StoredDataset(_Stored):
    """What an evaluation takes over of a search's dataset."""

    name: str
    data: str | None = None
    resolution: int | None = None
    max_pixels: int | None = None
    fit: str | None = None
    skip_unreadable: bool | None = None
    cache: str | None = None
    test_share: float | None = None


class _StoredObjective(_Stored):
    name: str


class StoredSettings(_Stored):
    """What later commands take over of a search's settings."""

    preset: str
    dataset: StoredDataset
    objectives: tuple[_StoredObjective, ...]


def objective_names(store: RunStore, search: StoredRun) -> tuple[str, ...]:
    """The objectives of a search, which are metrics of its individuals' runs; as for `stored_settings`.

    Its parameters name them; a run that lacks those is asked for its `config.json`.
    """
    return _objectives_in(search) or tuple(objective.name for objective in stored_settings(store, search).objectives)


def _objectives_in(search: StoredRun) -> tuple[str, ...]:
    names: list[str] = []
    while (name := search.params.get(f"objectives.{len(names)}.name")) is not None:
        names.append(name)
    return tuple(names)


def first_objective(search: StoredRun) -> ResolvedObjective:
    """The one that a search ranks by first, by its run's parameters; the paper's where it lacks those."""
    name = search.params.get("objectives.0.name", ACCURACY)
    direction = "minimize" if search.params.get("objectives.0.direction") == "minimize" else "maximize"
    return ResolvedObjective(name=name, direction=direction)


def deciding_objective(search: StoredRun) -> str:
    """The objective that says most about who a search chooses, by its run's parameters; acc_valid where it lacks those.

    Of a stage's run it is a metric of this name, and of a search that chose by acc_valid `best_accuracy`.
    """
    params = search.params
    weights = {name.removeprefix(WEIGHTS): params[name] for name in params if name.startswith(WEIGHTS)}
    # Which way is better does not matter here.
    objectives = [ResolvedObjective(name=name, direction="maximize") for name in _objectives_in(search)]
    try:
        result = ResultConfig.model_validate({"rule": params.get("result.rule", "accuracy"), "weights": weights})
    except (ValidationError, MedartsError):  # anybody may have written them
        return ACCURACY
    return choice.deciding_objective(result, objectives) if objectives else ACCURACY


def stored_settings(store: RunStore, search: StoredRun) -> StoredSettings:
    """As for `read_settings`, of a search; and a RunError where it has no `config.json`."""
    return read_settings(store.read_json_artifact(search.run_id, CONFIG))


def objectives_of(run: StoredRun, names: Sequence[str]) -> dict[str, float]:
    """Those of a run's metrics that are objectives; empty before the run was trained."""
    return {name: run.metrics[name] for name in names if name in run.metrics}


def genotype_of(store: RunStore, run: StoredRun) -> Genotype | None:
    """The genotype that a run has found or trains; None if it ended before it had one, is still running, or stands for
    none, as an experiment.
    """
    job = JOB_OF_RUN.get(run.kind)
    if job is not None and JOBS[job].chosen_tag is None:
        return None
    if run.status != "FINISHED" and not (job is not None and JOBS[job].is_given_a_genotype):
        return None
    return read_genotype(store.read_json_artifact(run.run_id, GENOTYPE))


def confusion_of(store: RunStore, run: StoredRun) -> ClassReport | None:
    """What an evaluated network does class by class; None before the end, of other runs and of earlier releases'."""
    if run.kind != "evaluation" or BALANCED_ACCURACY not in run.metrics:
        return None
    return read_confusion(store.read_json_artifact(run.run_id, CONFUSION))


def found_by(evaluated: Evaluated) -> tuple[StoredRun, Genotype]:
    """The individual that a run stands for, and its genotype.

    Raises:
        RunError: it has none yet.
    """
    store, run, search = evaluated
    individual = chosen_individual(store, run)
    genotype = None if individual is None else genotype_of(store, individual)
    if individual is None or genotype is None:
        stands = "pruned" if PRUNED_TAG in run.tags else run.status.lower()
        raise RunError(
            f"run {run.run_id} ({run.name}) has no genotype: it is {stands}; allowed are finished "
            f"searches, stages and individuals: `medarts resume {search.name}` goes on with one that was stopped"
        )
    return individual, genotype


def read_settings(data: Any) -> StoredSettings:
    """What is read back of a search's `config.json`.

    Raises:
        RunError: not that shape, or of a newer version.
    """
    data = unversioned(data, CONFIG)
    try:
        return StoredSettings.model_validate(data)
    except ValidationError as error:
        raise RunError(f"this is no {CONFIG} of a search: {reason_of(error)}; allowed is what it logged") from error
