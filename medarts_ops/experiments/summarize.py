"""What an experiment says, by its kind; and its table as flat rows for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medarts_ops.experiment import ExperimentKind, ExperimentResult
from medarts_ops.experiments.pairs import summarize_pairs
from medarts_ops.experiments.sweep import summarize_sweep
from medarts_ops.experiments.table3 import summarize_table3
from medarts_ops.experiments.table4 import summarize_table4
from medarts_ops.summary import Cell, Estimate, Summary

FlatCell = float | int | str | None

SUMMARIES: Mapping[ExperimentKind, Callable[[ExperimentResult], Summary]] = {
    "table3": summarize_table3,
    "table4": summarize_table4,
    "fig5": summarize_pairs,
    "fig6": summarize_pairs,
    "sweep": summarize_sweep,
}


def summarize(result: ExperimentResult) -> Summary:
    """The experiment summed up; of an unfinished one what is there, with a note of how much that is."""
    return SUMMARIES[result.plan.kind](result)


def cells_flat(summary: Summary) -> list[dict[str, FlatCell]]:
    """The table's rows with all of its columns, each number in a cell of its own.

    An estimate under `error` becomes `error`, its mean, and `error_std`, `error_sem`, `error_low`, `error_high`,
    `error_n`. A column has all six where any of its cells is one, so that rows have equal keys.
    """
    estimates = {key for row in summary.rows for key, cell in row.items() if isinstance(cell, Estimate)}
    return [
        {
            key: value
            for column in summary.columns
            for key, value in _flat(column.key, row.get(column.key), column.key in estimates).items()
        }
        for row in summary.rows
    ]


def _flat(key: str, cell: Cell, is_estimate: bool) -> dict[str, FlatCell]:
    if isinstance(cell, Estimate):
        more = {"std": cell.std, "sem": cell.sem, "low": cell.low, "high": cell.high, "n": cell.n}
        return {key: cell.mean, **{f"{key}_{name}": value for name, value in more.items()}}
    if not is_estimate:
        return {key: cell}
    return {key: cell, **{f"{key}_{name}": None for name in ("std", "sem", "low", "high", "n")}}
