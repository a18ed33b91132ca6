"""Made-up reports of experiments: the line of descent on its way, and a sweep that is finished."""

from __future__ import annotations

from factories import make_dataset_summary, make_evaluate_config_tiny, make_genotype, make_search_config_tiny
from pictures.summaries import make_bar, make_summary, make_table4

from medarts_ops.config import ResolvedEvaluateConfig
from medarts_ops.experiment import (
    Arm,
    ExperimentPlan,
    ExperimentResult,
    FailedTraining,
    FinishedTraining,
    Source,
    TrainingOutcome,
)
from medarts_ops.report.values import ExperimentReport

FINGERPRINT = make_dataset_summary().fingerprint


def make_table4_report() -> ExperimentReport:
    """Three networks, two seeds: one training was taken over, one failed, and the last one is not done yet."""
    names, operations = ("g_init", "g_mid", "g_best"), ("sep_conv_3x3", "dil_conv_3x3", "max_pool_3x3")
    arms = tuple(
        make_arm(name, make_evaluate_config_tiny(), operation)
        for name, operation in zip(names, operations, strict=True)
    )
    plan = make_plan(*arms)
    outcomes: list[TrainingOutcome] = [make_finished(one.key, 0.03) for one in plan.trainings[:4]]
    outcomes[1] = make_finished(plan.trainings[1].key, 0.0275, taken_from="a" * 32)
    outcomes.append(FailedTraining(key=plan.trainings[4].key, reason="loss is NaN", cause="diverged"))
    return ExperimentReport(
        summary=make_table4(),
        result=ExperimentResult(name="table4-1", plan=plan, outcomes=tuple(outcomes)),
        state="stopped",
        run_id="e" * 32,
        run_ids={one.key: f"{number:032x}" for number, one in enumerate(plan.trainings[:4])},
        command="medarts reproduce table4 search-test --seeds 0,1",
    )


def make_sweep_report() -> ExperimentReport:
    """Two learning rates of an evaluation, and the first has a search before it."""
    slow = make_evaluate_config_tiny()
    fast = slow.model_copy(update={"weights": slow.weights.model_copy(update={"lr": 0.05})})
    first = make_arm("lr-0.025", slow).model_copy(update={"search": make_search_config_tiny()})
    plan = make_plan(first, make_arm("lr-0.05", fast)).model_copy(update={"kind": "sweep", "scale": "own"})
    outcomes = tuple(
        make_finished(one.key, 0.1)
        if one.kind == "evaluation"
        else FinishedTraining(
            key=one.key, measures={"accuracy": 0.5, "params": 3_349_342.0}, seconds=60, genotype=make_genotype()
        )
        for one in plan.trainings
    )
    return ExperimentReport(
        summary=make_summary(make_bar("lr=0.025", (0.1, 0.11)), make_bar("lr=0.05", (0.1, 0.12))),
        result=ExperimentResult(name="sweep-1", plan=plan, outcomes=outcomes),
        state="finished",
    )


def make_plan(*arms: Arm) -> ExperimentPlan:
    """These arms with seeds 0 and 1 on the digits."""
    return ExperimentPlan(
        kind="table4", scale="small", seeds=(0, 1), arms=arms, datasets={FINGERPRINT: make_dataset_summary()}
    )


def make_arm(name: str, config: ResolvedEvaluateConfig, operation: str = "sep_conv_3x3") -> Arm:
    """An arm whose genotype a search has found."""
    return Arm(
        name=name,
        subject=f"the network {name}",
        condition="8×8",
        fingerprint=FINGERPRINT,
        evaluation=config,
        genotype=make_genotype(operation),
        source=Source(search="search-test", individual="final-00", run_id="f" * 32),
    )


def make_finished(key: str, error: float, taken_from: str | None = None) -> FinishedTraining:
    """Two minutes of training."""
    measures = {"test_error": error, "best_test_error": error - 0.001, "parameters": 3_349_342.0}
    return FinishedTraining(key=key, measures=measures, seconds=120, genotype=make_genotype(), taken_from=taken_from)
