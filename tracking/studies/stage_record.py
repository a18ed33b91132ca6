"""A finished stage as an Optuna study, so that Optuna's plots and dashboard show its front."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.hyperparameters import HYPERPARAMETERS
from medarts_ops.individual import FailedIndividual, RankedIndividual, StageResult
from medarts_ops.observers import SearchEvent, StageFinished
from medarts_ops.tracking.stores.study_storage import name_objectives, open_study, study_errors

INDIVIDUAL = "individual"
WIDEST_LOW = 1e-6
WIDEST_HIGH = 1.0


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


def record_stage(
    storage: BaseStorage,
    search_id: str,
    result: StageResult,
    config: ResolvedSearchConfig,
    run_id_of: Callable[[str], str],
    stage_run_id: str,
) -> None:
    """Write the stage into the study `<search id>/<stage name>`: one trial for each individual, once.

    Stages train for different lengths, so each has a study of its own and its `best_trials` are front 0. Trials
    carry the individual's id, its MLflow run, genotype hash and front as user attributes, failed ones the
    cause and the reason.

    Args:
        run_id_of: from an individual's id to its MLflow run's.
        stage_run_id: the stage's MLflow run, a user attribute of the study.

    Raises:
        StoreError: the storage failed.
    """
    members = [ranked.trained.individual.hyperparameters for ranked in result.ranked]
    members += [failed.individual.hyperparameters for failed in result.failed]
    distributions = {name: _holding([getattr(member, name) for member in members]) for name in HYPERPARAMETERS}
    with study_errors():
        study = open_study(storage, f"{search_id}/{result.name}", config.objectives)
        name_objectives(study, config.objectives)
        study.set_user_attr("mlflow_run_id", stage_run_id)
        recorded = {trial.user_attrs.get(INDIVIDUAL) for trial in study.get_trials(deepcopy=False)}
        for ranked in result.ranked:
            if ranked.id not in recorded:
                study.add_trial(_ranked_trial(ranked, config, distributions, run_id_of))
        for failed in result.failed:
            if failed.individual.id not in recorded:
                study.add_trial(_failed_trial(failed, distributions, run_id_of))


def _ranked_trial(
    ranked: RankedIndividual,
    config: ResolvedSearchConfig,
    distributions: dict[str, BaseDistribution],
    run_id_of: Callable[[str], str],
) -> FrozenTrial:
    return create_trial(
        state=TrialState.COMPLETE,
        values=[ranked.evaluated.objectives[objective.name] for objective in config.objectives],
        params=ranked.trained.individual.hyperparameters.model_dump(),
        distributions=distributions,
        user_attrs={
            INDIVIDUAL: ranked.id,
            "mlflow_run_id": run_id_of(ranked.id),
            "genotype_hash": ranked.trained.genotype.identity,
            "front": ranked.front,
        },
    )


def _failed_trial(
    failed: FailedIndividual, distributions: dict[str, BaseDistribution], run_id_of: Callable[[str], str]
) -> FrozenTrial:
    name = failed.individual.id
    return create_trial(
        state=TrialState.FAIL,
        params=failed.individual.hyperparameters.model_dump(),
        distributions=distributions,
        user_attrs={INDIVIDUAL: name, "mlflow_run_id": run_id_of(name), "cause": failed.cause, "reason": failed.reason},
    )


def _holding(values: Sequence[float]) -> BaseDistribution:
    # Inherited values may come from any config, so the range follows the values; a zero has no place on a log axis.
    smallest, largest = min(values), max(values)
    if smallest > 0:
        return FloatDistribution(min(smallest, WIDEST_LOW), max(largest, WIDEST_HIGH), log=True)
    return FloatDistribution(0.0, max(largest, WIDEST_HIGH))
