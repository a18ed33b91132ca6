"""Every executor keeps the promises of `executors/protocol.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype, make_search_config_tiny, make_search_runtime

from medarts_ops.config import SearchConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import ConfigError, DataError, SearchError
from medarts_ops.evaluation import run_evaluation
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.registry import EXECUTORS, build_executor
from medarts_ops.individual import (
    EvaluationEpoch,
    EvaluationResult,
    FailedIndividual,
    Individual,
    TrainedIndividual,
)
from medarts_ops.observers import EvaluationStarted
from medarts_ops.populations import random_individual
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.genotype import EvaluationBegun, EvaluationTask, FailedEvaluation, TrainedGenotype

CONFIG = make_search_config_tiny()


def individual(number: int) -> Individual:
    return random_individual(CONFIG, number)


@pytest.fixture(scope="module")
def stage_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stage") / "stage-0.npz"
    prepare_search_data(CONFIG).stages[0].save(path)
    return path


@pytest.fixture(scope="module", params=EXECUTORS.names())
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made = EXECUTORS.get(request.param)(make_search_runtime(workers=2))
    yield made
    made.close()


def tasks(path: Path, numbers: list[int], config: SearchConfig = CONFIG) -> list[TrainingTask]:
    return [
        TrainingTask(individuals=(individual(number),), stage=config.stages[0], config=config, stage_data=str(path))
        for number in numbers
    ]


def ignore(who: Individual, record: object) -> None:
    """Epochs are of no interest."""


@pytest.fixture(scope="module")
def expected(stage_data: Path) -> dict[str, TrainedIndividual]:
    """What one process of one thread makes of three individuals."""
    local = LocalExecutor(make_search_runtime())
    outcomes = local.run(tasks(stage_data, [0, 1, 2]), lambda who, record: None)
    return {outcome.individual.id: outcome for outcome in outcomes if isinstance(outcome, TrainedIndividual)}


def test_outcomes_are_bit_equal_whatever_the_executor(executor, stage_data, expected):
    outcomes = list(executor.run(tasks(stage_data, [0, 1, 2]), lambda who, record: None))
    assert {outcome.individual.id: outcome.alpha for outcome in outcomes} == {
        name: outcome.alpha for name, outcome in expected.items()
    }


def test_every_epoch_is_told_in_the_driving_process(executor, stage_data):
    told: list[tuple[str, int, int]] = []
    outcomes = list(
        executor.run(tasks(stage_data, [0, 1]), lambda who, record: told.append((who.id, record.epoch, os.getpid())))
    )
    assert len(outcomes) == 2
    assert sorted(told) == [("init-00", 0, os.getpid()), ("init-01", 0, os.getpid())]


def test_one_task_of_several_individuals_gives_all_their_outcomes(executor, stage_data, expected):
    group = tasks(stage_data, [0])[0].model_copy(update={"individuals": (individual(0), individual(1))})
    told: list[str] = []
    outcomes = list(executor.run([group], lambda who, record: told.append(who.id)))
    assert sorted(told) == ["init-00", "init-01"]
    for outcome in outcomes:
        alone = expected[outcome.individual.id]  # a stack sums in another order
        assert isinstance(outcome, TrainedIndividual)
        np.testing.assert_allclose(
            outcome.alpha.normal.arrays["op_logits"], alone.alpha.normal.arrays["op_logits"], atol=1e-5
        )
    assert len(outcomes) == 2


def test_a_task_goes_on_from_what_another_left_to_the_bits_of_a_single_one(executor, stage_data, tmp_path):
    stage = CONFIG.stages[0].model_copy(update={"epochs": 2})
    (whole,) = (each.model_copy(update={"stage": stage}) for each in tasks(stage_data, [0]))
    begun = whole.model_copy(update={"until": 1, "checkpoint": str(tmp_path / "begun.pt")})
    (early,) = executor.run([begun], ignore)
    assert isinstance(early, TrainedIndividual) and len(early.history) == 1 and early.discretized_loss is None
    rest = begun.going_on(begun.names)
    assert rest is not None
    told: list[int] = []
    (late,) = executor.run([rest], lambda who, record: told.append(record.epoch))
    (alone,) = LocalExecutor(make_search_runtime()).run([whole], ignore)
    assert (late.alpha, late.discretized_loss) == (alone.alpha, alone.discretized_loss)
    assert told == [0, 1]


def test_a_diverging_individual_is_an_outcome_not_an_error(executor, stage_data):
    weights = CONFIG.weights.model_copy(update={"grad_clip": 1e30})
    config = CONFIG.model_copy(update={"weights": weights})
    wild = individual(0).hyperparameters.model_copy(update={"weights_lr": 1e30})
    task = tasks(stage_data, [0], config)[0]
    task = task.model_copy(update={"individuals": (individual(0).model_copy(update={"hyperparameters": wild}),)})
    (outcome,) = executor.run([task], lambda who, record: None)
    assert isinstance(outcome, FailedIndividual) and "init-00" in outcome.reason


def test_missing_stage_data_is_the_same_error_everywhere(executor, tmp_path):
    with pytest.raises(DataError, match="stage-9"):
        list(executor.run(tasks(tmp_path / "stage-9.npz", [0]), lambda who, record: None))


def without_alpha(number: int) -> Individual:
    """What no training bears: its α is no α, which nobody foresaw."""
    return individual(number).model_copy(update={"alpha": "none"})


def test_a_mistake_in_the_code_is_an_outcome_that_names_it_and_the_next_task_goes_on(executor, stage_data, expected):
    broken = tasks(stage_data, [0])[0].model_copy(update={"individuals": (without_alpha(0),)})
    outcomes = {each.individual.id: each for each in executor.run([broken, *tasks(stage_data, [1])], ignore)}
    failed, good = outcomes["init-00"], outcomes["init-01"]
    assert isinstance(failed, FailedIndividual) and failed.cause == "crashed"
    assert "training broke off (AttributeError: 'str' object has no attribute 'cells')" in failed.reason
    assert isinstance(good, TrainedIndividual) and good.alpha == expected["init-01"].alpha


def test_an_unforeseen_error_outside_training_reaches_the_driver_and_the_worker_lives(stage_data, expected):
    executor = ProcessExecutor(make_search_runtime(workers=2))
    with pytest.raises(SearchError, match=r"a worker process broke off \(TypeError: .*mend that and resume"):
        list(executor.run([tasks(stage_data, [0])[0].model_copy(update={"stage_data": 7})], ignore))
    (outcome,) = executor.run(tasks(stage_data, [1]), ignore)
    assert len(executor._workers) == 1
    executor.close()
    assert isinstance(outcome, TrainedIndividual) and outcome.alpha == expected["init-01"].alpha


def test_a_device_that_a_worker_lacks_is_the_same_error_as_here(stage_data):
    config = make_search_runtime(device="cuda:99", workers=2)
    executor = ProcessExecutor(config)
    with pytest.raises(ConfigError) as there:
        list(executor.run(tasks(stage_data, [0]), ignore))
    executor.close()
    with pytest.raises(ConfigError) as here:
        LocalExecutor(config)
    assert str(there.value) == str(here.value)


def test_a_worker_that_dies_costs_its_own_task_only(stage_data, expected):
    executor = ProcessExecutor(make_search_runtime(workers=1))
    killed: list[str] = []

    def kill_the_first(who: Individual, record: object) -> None:
        if not killed:
            killed.append(who.id)
            executor._workers[0].process.kill()

    # Long enough that the worker is still training when it is killed after its first epoch.
    stage = CONFIG.stages[0].model_copy(update={"epochs": 50})
    long = tasks(stage_data, [0])[0].model_copy(update={"stage": stage})
    outcomes = list(executor.run([long, *tasks(stage_data, [1])], kill_the_first))
    executor.close()
    assert isinstance(outcomes[0], FailedIndividual) and "died with exit code -9" in outcomes[0].reason
    assert isinstance(outcomes[1], TrainedIndividual) and outcomes[1].alpha == expected["init-01"].alpha


def test_a_worker_that_dies_idle_costs_nothing(stage_data, expected):
    executor = ProcessExecutor(make_search_runtime(workers=1))
    list(executor.run(tasks(stage_data, [0]), lambda *_: None))
    executor._workers[0].process.kill()
    executor._workers[0].process.join()
    (outcome,) = executor.run(tasks(stage_data, [1]), lambda *_: None)
    executor.close()
    assert isinstance(outcome, TrainedIndividual) and outcome.alpha == expected["init-01"].alpha


def test_the_name_decides_whatever_the_number_of_workers():
    assert isinstance(build_executor(make_search_runtime(workers=1, executor="processes")), ProcessExecutor)
    assert isinstance(build_executor(make_search_runtime(workers=1, executor="local")), LocalExecutor)


def test_an_unknown_name_is_refused_with_its_path():
    with pytest.raises(ConfigError, match=r"^runtime.executor: unknown executor 'proceses'.*did you mean 'processes'"):
        build_executor(make_search_runtime(executor="proceses"))


def test_one_worker_trains_in_this_process_and_more_in_others():
    assert isinstance(build_executor(make_search_runtime(workers=1)), LocalExecutor)
    assert isinstance(build_executor(make_search_runtime(workers=2)), ProcessExecutor)


EVALUATION = make_evaluate_config_tiny()
OPERATIONS = ("sep_conv_3x3", "max_pool_3x3")


def evaluation(operation: str, folder: Path | None = None, **settings: object) -> EvaluationTask:
    """The full training of a genotype of one operation, which is its name."""
    config = EVALUATION.model_copy(update=settings)
    return EvaluationTask(
        name=operation,
        started=EvaluationStarted(
            config=config,
            genotype=make_genotype(operation, nodes=2),
            parameters=1,
            dataset=load_dataset(config.dataset).summary(None),
        ),
        checkpoint=None if folder is None else str(folder / f"{operation}.checkpoint"),
        weights=None if folder is None else str(folder / f"{operation}.pt"),
    )


def told(result: EvaluationResult) -> list[dict[str, object]]:
    return [record.model_dump(exclude={"seconds", "images_per_second"}) for record in result.history]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, EvaluationResult]]:
    """What one evaluation after the other comes to, by operation, and the folder of their weights."""
    folder = tmp_path_factory.mktemp("evaluated")
    results = {}
    for operation in OPERATIONS:
        (folder / operation).mkdir()
        genotype = make_genotype(operation, nodes=2)
        results[operation] = run_evaluation(EVALUATION, genotype, folder=folder / operation)
    return folder, results


def test_evaluations_side_by_side_are_bit_equal_to_one_after_the_other(executor, tmp_path, evaluated):
    folder, expected = evaluated
    tasks = [evaluation(operation, tmp_path) for operation in OPERATIONS]
    outcomes = list(executor.run(tasks, ignore))
    assert all(isinstance(outcome, TrainedGenotype) for outcome in outcomes)
    assert {each.name: told(each.result) for each in outcomes} == {name: told(each) for name, each in expected.items()}
    for operation in OPERATIONS:
        weights = torch.load(tmp_path / f"{operation}.pt", weights_only=True)
        alone = torch.load(folder / operation / "weights.pt", weights_only=True)
        assert weights.keys() == alone.keys()
        assert all(torch.equal(weights[name], alone[name]) for name in weights)


def test_an_evaluations_start_and_epochs_are_told_in_the_driving_process_and_again_from_its_checkpoint(
    executor, tmp_path
):
    progress: list[tuple[str, object, int]] = []
    for _ in range(2):
        progress.clear()
        list(executor.run([evaluation("skip_connect", tmp_path)], lambda *told: progress.append((*told, os.getpid()))))
        assert {(who, pid) for who, _, pid in progress} == {("skip_connect", os.getpid())}
        begun, *epochs = [what for _, what, _ in progress]
        assert isinstance(begun, EvaluationBegun)
        assert [each.epoch for each in epochs if isinstance(each, EvaluationEpoch)] == [0, 1, 2]


def test_a_diverging_evaluation_is_an_outcome_with_its_reason_and_cause(executor):
    weights = EVALUATION.weights.model_copy(update={"lr": 1e30, "grad_clip": 1e30})
    (outcome,) = executor.run([evaluation("sep_conv_3x3", weights=weights)], ignore)
    assert isinstance(outcome, FailedEvaluation) and outcome.cause == "diverged"
    assert outcome.name == "sep_conv_3x3" and "evaluation, epoch 0: the loss became NaN" in outcome.reason


def test_both_kinds_of_task_run_through_the_same_executor(executor, stage_data, expected, evaluated):
    mixed = [*tasks(stage_data, [0]), evaluation("sep_conv_3x3"), *tasks(stage_data, [1])]
    outcomes = list(executor.run(mixed, ignore))
    trained = {each.individual.id: each.alpha for each in outcomes if isinstance(each, TrainedIndividual)}
    assert trained == {name: expected[name].alpha for name in ("init-00", "init-01")}
    (genotype,) = [each for each in outcomes if isinstance(each, TrainedGenotype)]
    assert told(genotype.result) == told(evaluated[1]["sep_conv_3x3"])


def test_an_evaluation_whose_worker_dies_is_an_outcome_and_the_next_goes_on(evaluated):
    executor = ProcessExecutor(make_search_runtime())
    killed: list[str] = []

    def kill_the_first(who: str, progress: object) -> None:
        if not killed:
            killed.append(who)
            executor._workers[0].process.kill()

    long = evaluation("max_pool_3x3", epochs=50)
    failed, good = executor.run([long, evaluation("sep_conv_3x3")], kill_the_first)
    executor.close()
    assert isinstance(failed, FailedEvaluation) and failed.cause == "crashed"
    assert failed.reason == "evaluation max_pool_3x3: its worker process died with exit code -9"
    assert isinstance(good, TrainedGenotype) and told(good.result) == told(evaluated[1]["sep_conv_3x3"])


def test_what_a_factory_gives_that_is_no_executor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXECUTORS.built_in, "local", lambda runtime: None)
    with pytest.raises(ConfigError, match="executor 'local' gives a NoneType: allowed is what has run and close"):
        build_executor(make_search_runtime(workers=1).model_copy(update={"executor": "local"}))
