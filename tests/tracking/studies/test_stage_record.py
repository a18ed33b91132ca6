"""A stage as an Optuna study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from factories import (
    make_failed,
    make_hyperparameters,
    make_individual,
    make_pruned,
    make_ranked,
    make_search_config_tiny,
    make_stage_result,
    make_trained,
)
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from medarts_ops.individual import Hyperparameters, StageResult
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.studies.stage_record import record_stage


@pytest.fixture
def stage() -> StageResult:
    """Three trade-offs on front 0, two dominated, one failed."""
    return make_stage_result(
        (
            make_ranked(0, 0.9, 2e6, front=0),
            make_ranked(1, 0.8, 3e6, front=0),
            make_ranked(2, 0.7, 4e6, front=0),
            make_ranked(3, 0.8, 2e6, front=1),
            make_ranked(4, 0.6, 1e6, front=2),
        ),
        (make_failed(5, "loss is NaN"),),
    )


def recorded(stage: StageResult, times: int = 1) -> optuna.Study:
    storage = InMemoryStorage()
    for _ in range(times):
        record_stage(storage, "search-a", stage, make_search_config_tiny(), str.upper, "run of stage")
    return optuna.load_study(study_name="search-a/init", storage=storage)


def test_best_trials_are_front_zero(stage: StageResult) -> None:
    front = {ranked.id for ranked in stage.ranked if ranked.front == 0}
    assert {trial.user_attrs["individual"] for trial in recorded(stage).best_trials} == front


def test_trials_carry_run_genotype_and_values(stage: StageResult) -> None:
    study = recorded(stage)
    trial = study.trials[1]
    assert trial.user_attrs["mlflow_run_id"] == "INIT-01" and trial.user_attrs["front"] == 0
    assert trial.user_attrs["genotype_hash"] == stage.ranked[1].trained.genotype.identity
    assert trial.values == [0.8, 3e6] and trial.params["weights_lr"] == 0.025
    assert study.metric_names == ["accuracy", "params"]
    assert study.user_attrs["mlflow_run_id"] == "run of stage"


def test_a_failed_individual_is_a_failed_trial_with_its_reason_and_no_values(stage: StageResult) -> None:
    failed = recorded(stage).trials[-1]
    assert failed.state == TrialState.FAIL and failed.values is None
    assert (failed.user_attrs["cause"], failed.user_attrs["reason"]) == ("diverged", "loss is NaN")


@pytest.mark.parametrize("names", [("accuracy", "params"), ("accuracy",)])
def test_a_pruned_individual_is_a_pruned_trial_with_its_intermediate_value(
    tmp_path: Path, names: Sequence[str]
) -> None:
    config, stage = make_search_config_tiny(), make_stage_result((make_ranked(0),))
    objectives = tuple(each for each in config.objectives if each.name in names)
    storage = open_study_storage(f"sqlite:///{tmp_path / 'optuna.db'}")
    pruned = stage.model_copy(update={"pruned": (make_pruned(1, accuracy=0.4),)})
    for _ in range(2):
        record_stage(
            storage, "s", pruned, config.model_copy(update={"objectives": objectives}), str.upper, "run of stage"
        )
    study = optuna.load_study(study_name="s/init", storage=storage)
    best, ended = study.trials
    assert (ended.state, ended.intermediate_values) == (TrialState.PRUNED, {0: 0.4})
    assert ended.user_attrs["reason"] == "on front 1 of its population after 1 epoch"
    assert study.best_trials == [best]


def test_recording_twice_adds_nothing(stage: StageResult) -> None:
    assert len(recorded(stage, times=2).trials) == 6


def test_any_hyperparameters_find_room() -> None:
    wild = Hyperparameters(alpha_lr=12.0, weights_lr=1e-9, alpha_weight_decay=0.0, alpha_init_std=0.0)
    trained = make_trained(make_individual(0, hyperparameters=wild))
    study = recorded(make_stage_result((make_ranked(0, trained=trained), make_ranked(1))))
    assert study.trials[0].params == {name: value for name, value in wild.values.items() if value is not None}


def test_a_share_of_warm_up_is_a_parameter_where_all_have_one() -> None:
    def stage_of(shares: Sequence[float | None]) -> StageResult:
        warm = [make_hyperparameters().model_copy(update={"alpha_warmup": share}) for share in shares]
        members = [make_individual(number, hyperparameters=each) for number, each in enumerate(warm)]
        return make_stage_result([make_ranked(one.number, trained=make_trained(one)) for one in members])

    assert [trial.params["alpha_warmup"] for trial in recorded(stage_of((0.25, 0.0))).trials] == [0.25, 0.0]
    assert all("alpha_warmup" not in trial.params for trial in recorded(stage_of((0.25, None))).trials)


def test_a_minimized_objective_keeps_its_direction() -> None:
    config = make_search_config_tiny()
    objectives = (config.objectives[0], config.objectives[1].model_copy(update={"direction": "minimize"}))
    storage = InMemoryStorage()
    stage = make_stage_result((make_ranked(0, 0.9, 2e6, front=0), make_ranked(1, 0.8, 3e6, front=1)))
    record_stage(storage, "s", stage, config.model_copy(update={"objectives": objectives}), str.upper, "run of stage")
    best = optuna.load_study(study_name="s/init", storage=storage).best_trials
    assert [trial.user_attrs["individual"] for trial in best] == ["init-00"]
