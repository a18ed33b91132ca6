"""Sweeps: what each arm's row holds, and how arms are compared with the first."""

from __future__ import annotations

import pytest
from experiment_outcomes import make_result
from factories import (
    make_dataset_summary,
    make_evaluate_config_tiny,
    make_evaluation_runtime,
    make_genotype,
    make_search_config_tiny,
    make_search_runtime,
)
from scipy import stats

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_runtime import EvaluationRuntimeConfig, SearchRuntimeConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.experiment import PARAMETERS, TEST_ERROR
from medarts_ops.experiments import sweep
from medarts_ops.experiments.network import ArmSettings
from medarts_ops.experiments.sweep import SweepArm, plan_sweep, resolved_arms, summarize_sweep

SEARCH, EVALUATION = make_search_config_tiny(), make_evaluate_config_tiny()


def test_arms_that_ask_for_the_same_runtime_have_the_layout_that_the_first_found(monkeypatch):
    """Where a machine's whim decides: each timing here comes to another answer."""
    answers = iter([4, 0, 2])

    def search(config):
        side = config.runtime.matrix_side
        runtime = make_search_runtime(matrix_side=next(answers) if side == "auto" else side)
        return SEARCH.model_copy(update={"runtime": runtime, "seed": config.seed}), None

    layouts = iter([False, True])

    def evaluation(config, dataset, side_by_side):
        last = config.runtime.channels_last
        runtime = make_evaluation_runtime(channels_last=next(layouts) if last == "auto" else last)
        return EVALUATION.model_copy(update={"runtime": runtime}), load_dataset(EVALUATION.dataset)

    monkeypatch.setattr(sweep, "resolve_search_config", search)
    monkeypatch.setattr(sweep, "resolve_evaluation", evaluation)
    searches = [
        SearchConfig(dataset=SEARCH.dataset, runtime=SearchRuntimeConfig.model_validate(runtime))
        for runtime in ({}, {}, {"matrix_side": 8}, {"stack": 2}, {"stack": 2})
    ]
    evaluations = [
        EvaluateConfig(dataset=EVALUATION.dataset, runtime=EvaluationRuntimeConfig.model_validate(runtime))
        for runtime in ({}, {}, {"channels_last": True}, {"devices": 1}, {"amp": "bf16"})
    ]
    arms = [ArmSettings(f"n={n}", *both) for n, both in enumerate(zip(searches, evaluations, strict=True))]
    found = resolved_arms(arms)
    assert [arm.search.runtime.matrix_side for arm in found] == [4, 4, 8, 0, 0]
    assert [arm.evaluation.runtime.channels_last for arm in found] == [False, False, True, False, True]


def make_plan(search=None, evaluation=None, seeds=(0, 1, 2)):
    genotype = make_genotype() if search is None else None
    arms = [SweepArm(f"{n}", f"order={n}", search, evaluation, genotype, make_dataset_summary()) for n in ("a", "b")]
    return plan_sweep(arms, seeds=seeds, workers=1)


ERRORS = {"a": (0.30, 0.34, 0.29), "b": (0.25, 0.30, 0.26)}


def test_searches_are_compared_by_the_accuracy_of_what_they_found():
    def came(training):
        return {"accuracy": 1 - ERRORS[training.arm.name][training.seed], "params": 2e6 + training.seed}

    summary = summarize_sweep(make_result(make_plan(search=SEARCH), came))
    first, second = summary.rows
    assert [column.key for column in summary.columns] == [
        *("arm", "search_accuracy", "standard_error", "n", "search_params", "search_seconds", "difference", "p"),
    ]
    assert [column.form for column in summary.columns[1:6]] == ["share", "share", "count", "millions", "seconds"]
    accuracies = [1 - error for error in ERRORS["b"]]
    assert (second["standard_error"], second["n"]) == (pytest.approx(stats.sem(accuracies)), 3)
    assert summary.columns[1].heading == "accuracy of the search, measured here (3 seeds)"
    assert second["search_accuracy"].mean == pytest.approx(0.73) and second["search_accuracy"].n == 3
    assert second["search_params"].mean == 2e6 + 1 and second["search_seconds"] == 61.0
    assert first["difference"] is first["p"] is None
    oracle = stats.ttest_rel([1 - x for x in ERRORS["b"]], [1 - x for x in ERRORS["a"]])
    assert second["difference"].mean == pytest.approx(0.04) and second["p"] == pytest.approx(oracle.pvalue)
    assert (second["difference"].low, second["difference"].high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert summary.figure.unit == "accuracy of the search" and summary.figure.bars[0].label == "order=a"


def test_given_genotypes_are_compared_by_their_test_error():
    result = make_result(make_plan(evaluation=EVALUATION), lambda t: ERRORS[t.arm.name][t.seed])
    summary = summarize_sweep(result)
    keys = [column.key for column in summary.columns]
    assert keys == ["arm", "error", "standard_error", "n", "parameters", "evaluation_seconds", "difference", "p"]
    assert summary.rows[1]["difference"].mean == pytest.approx(-0.04)
    assert summary.columns[1].heading == "test error, measured here (3 seeds, 3 epochs, 1,438 images)"
    assert summary.figure.bars[1].values == ERRORS["b"]


def came_to_both(training):
    if training.kind == "search":
        return {"accuracy": 0.5, "params": 2e6}
    return {TEST_ERROR: ERRORS[training.arm.name][training.seed], PARAMETERS: 1000.0 + training.seed}


def test_what_searches_found_is_compared_by_its_test_error_and_both_costs_are_said():
    summary = summarize_sweep(make_result(make_plan(SEARCH, EVALUATION), came_to_both))
    keys = [column.key for column in summary.columns]
    assert keys[1:7] == ["error", "standard_error", "n", "parameters", "search_accuracy", "search_params"]
    assert keys[7:] == ["search_seconds", "evaluation_seconds", "difference", "p"]
    row = summary.rows[1]
    assert row["parameters"].mean == 1001 and row["parameters"].std == 1  # each seed found another network
    assert row["search_accuracy"].std == 0 and row["difference"].mean == pytest.approx(-0.04)


def test_a_failed_search_leaves_its_arm_with_fewer_seeds():
    def came(training):
        failed = training.key in ("a.s0.search", "a.s0")
        return "no individual is left" if failed else came_to_both(training)

    summary = summarize_sweep(make_result(make_plan(SEARCH, EVALUATION), came))
    assert [row["error"].n for row in summary.rows] == [2, 3]
    assert summary.rows[1]["difference"].n == 2 and len(summary.failures) == 2


def test_one_seed_has_no_difference():
    plan = make_plan(evaluation=EVALUATION, seeds=[0])
    row = summarize_sweep(make_result(plan, lambda t: ERRORS[t.arm.name][0])).rows[1]
    assert row["difference"] is row["p"] is row["error"].std is None


def test_an_unfinished_sweep_has_empty_cells():
    summary = summarize_sweep(make_result(make_plan(evaluation=EVALUATION), lambda t: None))
    assert summary.rows[0]["error"] is summary.rows[0]["evaluation_seconds"] is None
    assert summary.figure.bars[0].estimate is None
