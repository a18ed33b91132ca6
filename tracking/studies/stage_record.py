"""A finished stage as an Optuna study, so that Optuna's plots and dashboard show its front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.individual import Individual, StageResult
from medarts_ops.tracking.artifacts.shapes import intermediate_values
from medarts_ops.tracking.stores.study_storage import name_objectives, open_study, study_errors

INDIVIDUAL = "individual"
RUN = "mlflow_run_id"
WIDEST_LOW = 1e-6
WIDEST_HIGH = 1.0


def record_stage(
    storage: BaseStorage,
    search_id: str,
    result: StageResult,
    config: ResolvedSearchConfig,
    run_id_of: Callable[[str], str],
    stage_run_id: str,
) -> None:
    """Write the stage into the study `<search id>/<stage name>`: one trial for each individual, once.

    A study whose trials name other runs, because the runs were lost and made anew, is made anew, too: a finished trial
    takes no other attribute.

    Stages train for different lengths, so each has a study of its own and its `best_trials` are front 0. Trials carry
    the individual's id, its MLflow run, genotype hash and front as user attributes, failed ones cause and reason,
    pruned ones the reason and the first objective as their intermediate value.

    `run_id_of` gives the MLflow run of an individual's id; `stage_run_id` is the stage's, an attribute of the study.

    Raises:
        StoreError: the storage failed.
    """
    told = _told(result, config)
    distributions = _distributions([member for member, *_ in told])
    with study_errors():
        study = open_study(storage, f"{search_id}/{result.name}", config.objectives)
        if _names_others(study, {member.id: run_id_of(member.id) for member, *_ in told}):
            optuna.delete_study(study_name=study.study_name, storage=storage)
            study = open_study(storage, study.study_name, config.objectives)
        name_objectives(study, config.objectives)
        study.set_user_attr(RUN, stage_run_id)
        recorded = {trial.user_attrs.get(INDIVIDUAL) for trial in study.get_trials(deepcopy=False)}
        for member, state, values, attributes, intermediate in told:
            if member.id not in recorded:
                trial = create_trial(
                    state=state,
                    values=values,
                    params={name: member.hyperparameters.values[name] for name in distributions},
                    distributions=distributions,
                    user_attrs={INDIVIDUAL: member.id, RUN: run_id_of(member.id), **attributes},
                    intermediate_values=dict(intermediate),
                )
                study.add_trial(trial)


def _distributions(members: Sequence[Individual]) -> dict[str, BaseDistribution]:
    """Of each hyperparameter that all of them have, one that holds their values."""
    of_members = [member.hyperparameters.values for member in members]
    values_of = {name: [values[name] for values in of_members] for name in of_members[0]} if of_members else {}
    known = {name: [value for value in values if value is not None] for name, values in values_of.items()}
    return {name: _holding(values) for name, values in known.items() if len(values) == len(of_members)}


def _names_others(study: optuna.Study, run_ids: dict[str, str]) -> bool:
    """Whether a trial names another run than its individual's."""
    attributes = [trial.user_attrs for trial in study.get_trials(deepcopy=False)]
    return any(each.get(RUN) != run_ids.get(each.get(INDIVIDUAL, ""), each.get(RUN)) for each in attributes)


class _Told(NamedTuple):
    """What becomes of an individual: state, values in the objectives' order, attributes, and values on its way."""

    individual: Individual
    state: TrialState
    values: list[float] | None
    attributes: Mapping[str, object]
    intermediate: Mapping[int, float] = MappingProxyType({})


def _told(result: StageResult, config: ResolvedSearchConfig) -> list[_Told]:
    ranked = [
        _Told(
            each.trained.individual,
            TrialState.COMPLETE,
            [each.evaluated.objectives[objective.name] for objective in config.objectives],
            {"genotype_hash": each.trained.genotype.identity, "front": each.front},
        )
        for each in result.ranked
    ]
    failed = [
        _Told(each.individual, TrialState.FAIL, None, {"cause": each.cause, "reason": each.reason})
        for each in result.failed
    ]
    pruned = [
        _Told(each.individual, TrialState.PRUNED, None, {"reason": each.reason}, intermediate_values(each))
        for each in result.pruned
    ]
    return [*ranked, *failed, *pruned]


def _holding(values: Sequence[float]) -> BaseDistribution:
    # Inherited values may come from any config, so the range follows the values; a zero has no place on a log axis.
    smallest, largest = min(values), max(values)
    if smallest > 0:
        return FloatDistribution(min(smallest, WIDEST_LOW), max(largest, WIDEST_HIGH), log=True)
    return FloatDistribution(0.0, max(largest, WIDEST_HIGH))
