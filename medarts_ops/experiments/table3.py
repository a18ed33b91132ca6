"""Table III: published architectures and found ones, trained alike, beside the figures that were published."""

from __future__ import annotations

from medarts_ops.experiment import Arm, ExperimentResult
from medarts_ops.experiments.network import Network
from medarts_ops.experiments.protocol import (
    PublishedOn,
    error_bar,
    errors_of,
    estimated,
    measured,
    measured_column,
    parameters_of,
    published_on,
    summed_up,
)
from medarts_ops.published import OF_ZOO, TABLE_III, TABLE_III_SOURCE, PublishedResult, row_of
from medarts_ops.quantities import SECONDS_PER_DAY
from medarts_ops.space.zoo import zoo_entry
from medarts_ops.summary import Bars, Cell, Column, Summary

NOT_IN_THE_SPACE = "*"
"""Stands behind the name of an architecture that the space can't hold."""


def zoo_network(name: str) -> Network:
    """A published genotype by name, and the row of Table III that it stands for; GenotypeError for an unknown name."""
    entry = zoo_entry(name)
    row = OF_ZOO.get(entry.name)
    return Network(
        name=entry.name,
        genotype=entry.genotype,
        description=entry.description,
        method=None if row is None else row_of(row).method,
        published_as=row,
    )


def summarize_table3(result: ExperimentResult) -> Summary:
    """The table: what was trained, with published figures beside it; below it what was published alone."""
    plan, beside = result.plan, published_on(result.plan)
    source = f"published ({TABLE_III_SOURCE}"
    columns = (
        Column("architecture", "architecture"),
        Column("method", "method"),
        Column("parameters", "parameters", "count", "measured here"),
        Column("search_days", "days of search, measured here", "days", "measured here"),
        measured_column("error", "test error", "share", measured(plan)),
        Column("published_error", f"test error, {source}, {beside.heading})", "percent", "published"),
        Column("published_parameters", f"parameters, {source})", "millions", "published"),
        Column("published_days", f"GPU days of search, {source})", "days", "published"),
    )
    trained = {arm.published_as for arm in plan.arms}
    others = [row for row in TABLE_III if row.architecture not in trained]
    outside = [row.architecture for row in others if not row.in_the_space]
    bars = [error_bar(result, arm, _published_error(arm, beside) if beside.is_same else None) for arm in plan.arms]
    note = f"{NOT_IN_THE_SPACE} {', '.join(outside)}: published figures alone, since the DARTS space can't hold them"
    return summed_up(
        result,
        "Test errors of architectures, as ME-DARTS's Table III",
        columns,
        [*(_trained_row(result, arm, beside) for arm in plan.arms), *(_published_row(row, beside) for row in others)],
        figure=Bars("test error", tuple(bars)),
        notes=[note],
    )


def _trained_row(result: ExperimentResult, arm: Arm, beside: PublishedOn) -> dict[str, Cell]:
    seconds = arm.search_seconds
    row: dict[str, Cell] = {
        "architecture": arm.subject,
        "method": arm.method,
        "parameters": parameters_of(result, arm),
        "search_days": None if seconds is None else seconds / SECONDS_PER_DAY,
        "error": estimated(errors_of(result, arm)),
    }
    return row if arm.published_as is None else row | _figures(row_of(arm.published_as), beside)


def _published_row(published: PublishedResult, beside: PublishedOn) -> dict[str, Cell]:
    mark = "" if published.in_the_space else NOT_IN_THE_SPACE
    names: dict[str, Cell] = {"architecture": f"{published.architecture}{mark}", "method": published.method}
    return names | _figures(published, beside)


def _figures(published: PublishedResult, beside: PublishedOn) -> dict[str, Cell]:
    parameters = published.parameters
    return {
        "published_error": published.test_error(beside.table),
        "published_parameters": None if parameters is None else 1e6 * parameters,
        "published_days": published.gpu_days,
    }


def _published_error(arm: Arm, beside: PublishedOn) -> float | None:
    return None if arm.published_as is None else row_of(arm.published_as).test_error(beside.table)
