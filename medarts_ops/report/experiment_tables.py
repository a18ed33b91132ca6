"""The rows of an experiment's page: its single trainings, its arms with what differs between them, its key numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medarts_ops.config_writing import settings_of, shown
from medarts_ops.experiment import (
    PARAMETERS,
    TEST_ERROR,
    Arm,
    ExperimentPlan,
    FailedTraining,
    FinishedTraining,
    Training,
    TrainingOutcome,
)
from medarts_ops.objectives.shown import objectives
from medarts_ops.quantities import duration, millions, percent
from medarts_ops.report.values import ExperimentReport
from medarts_ops.summary import Bars, Column
from medarts_ops.summary_text import formatted, statistic_value

TILES = 4
"""More bars than these are not key numbers; the table has them all."""


@dataclass(frozen=True)
class TrainingLine:
    """A training as the page shows it; `result` says what it came to, or that it did not.

    `taken_from` is the run of before that it was taken over from, `run_id` one of its own; None where there is none.
    """

    training: Training
    result: str
    failed: bool
    seconds: float | None
    run_id: str | None
    taken_from: str | None


@dataclass(frozen=True)
class ArmLine:
    """An arm with its images' name, and its values of the settings that differ between arms."""

    arm: Arm
    images: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class ArmTable:
    """The arms beneath the paths of the settings that differ between them."""

    paths: tuple[str, ...]
    lines: tuple[ArmLine, ...]


def training_lines(report: ExperimentReport) -> tuple[TrainingLine, ...]:
    """Every training of the plan, in its order, whether it was done or not."""
    outcomes = {outcome.key: outcome for outcome in report.result.outcomes}
    lines = []
    for training in report.result.plan.trainings:
        outcome = outcomes.get(training.key)
        finished = outcome if isinstance(outcome, FinishedTraining) else None
        taken_from = finished.taken_from if finished else None
        line = TrainingLine(
            training=training,
            result=_result(outcome),
            failed=isinstance(outcome, FailedTraining),
            seconds=finished.seconds if finished else None,
            run_id=None if taken_from else report.run_ids.get(training.key),
            taken_from=taken_from,
        )
        lines.append(line)
    return tuple(lines)


def arm_table(plan: ExperimentPlan) -> ArmTable:
    """The arms beside one another; the seed is none of the settings that differ, each arm has all."""
    found = {arm.name: arm_settings(arm) for arm in plan.arms}
    paths = dict.fromkeys((section, path) for each in found.values() for section in each for path in each[section])
    differing = [
        (section, path)
        for section, path in paths
        if len({repr(each[section].get(path)) for each in found.values() if section in each}) > 1
    ]
    lines = [
        ArmLine(
            arm=arm,
            images=plan.datasets[arm.fingerprint].name,
            settings=tuple(shown(found[arm.name].get(section, {}).get(path)) for section, path in differing),
        )
        for arm in plan.arms
    ]
    return ArmTable(tuple(f"{section}.{path}" for section, path in differing), tuple(lines))


def arm_settings(arm: Arm) -> Mapping[str, Mapping[str, Any]]:
    """All settings of an arm's `search` and of its `evaluate`, where it has one, by their paths; not the seed."""
    configs = {"search": arm.search, "evaluate": arm.evaluation}
    return {
        section: {setting.path: setting.value for setting in settings_of(config) if setting.path != "seed"}
        for section, config in configs.items()
        if config is not None
    }


def key_numbers(report: ExperimentReport) -> tuple[tuple[str, str], ...]:
    """What stands on top, label and number: a few bars' means or the statistics, and what was done at what cost."""
    figure, plan = report.summary.figure, report.result.plan
    tiles = []
    if isinstance(figure, Bars) and len(figure.bars) <= TILES:
        column = Column("value", figure.unit, "share" if figure.is_share else "number")
        unit = figure.unit.removesuffix(" (%)")
        tiles = [(f"{bar.label}, {unit}", formatted(bar.estimate, column)) for bar in figure.bars]
    tiles += [(f"{one.label}, n = {one.n}", statistic_value(one.value)) for one in report.summary.statistics[:TILES]]
    finished = report.result.finished
    taken = len(report.result.taken_over)
    tiles.append(("trainings done", f"{len(finished)} of {len(plan.trainings)}"))
    if taken:
        tiles.append(("of these taken over", str(taken)))
    tiles.append(("seeds", ", ".join(map(str, plan.seeds))))
    tiles.append(("training time", duration(sum(one.seconds for one in finished if one.is_own))))
    return tuple(tiles)


def _result(outcome: TrainingOutcome | None) -> str:
    if outcome is None:
        return "not done yet"
    if isinstance(outcome, FailedTraining):
        return f"failed ({outcome.cause}): {outcome.reason}"
    if TEST_ERROR not in outcome.measures:
        return objectives(outcome.measures)
    error = f"{f'as {outcome.same_as}: ' if outcome.same_as else ''}test error {percent(outcome.measures[TEST_ERROR])}"
    return f"{error}, {millions(outcome.measures[PARAMETERS])} parameters" if PARAMETERS in outcome.measures else error
