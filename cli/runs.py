"""`medarts runs`: the searches in the store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from medarts_ops.cli.options import check_one_format, csv_option, json_option, tracking_uri_option
from medarts_ops.cli.output import print_csv, print_json, results_console
from medarts_ops.objectives.shown import objective
from medarts_ops.quantities import SECONDS_PER_HOUR, duration, percent

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore
    from medarts_ops.tracking.stores.tracked_run import TrackedRun

SHOWN = 20
"""How many searches are listed unless asked; a table for other programs holds all."""

CSV_FIRST = (
    "run_id",
    "name",
    "status",
    "started",
    "ended",
    "experiment_id",
    "dataset",
    "preset",
    "seed",
    "best_run_id",
)
CSV_LAST = ("hours", "evaluations", "lowest_test_error")


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"How many, newest first.  [default: {SHOWN}, with --csv all]"
)
@tracking_uri_option
@csv_option
@json_option
def command(*, limit: int | None, tracking_uri: str | None, as_csv: bool, as_json: bool) -> None:
    """List the searches in the store, newest first, and what came of them; then evaluations of given genotypes.

    \b
    Examples:
      medarts runs
      medarts runs --csv > searches.csv
      medarts runs --tracking-uri http://localhost:5000 --json
    """
    from medarts_ops.tracking.artifacts.files import without_nan
    from medarts_ops.tracking.stores.opening import open_store

    check_one_format(as_csv, as_json)
    store = open_store(tracking_uri, create=False)
    shown = limit or (None if as_csv else SHOWN)
    found = [_row(store, run) for run in store.searches()[:shown]]
    if as_csv:
        print_csv([_csv_row(row) for row in found], _csv_columns(found))
    elif as_json:
        print_json(without_nan(found))
    else:
        _print_runs(found)
        _print_given(store, shown)


def _row(store: RunStore, run: TrackedRun) -> dict[str, Any]:
    from medarts_ops.tracking.reading.stored_runs import chosen_run_id, objective_names, objectives_of

    errors = [
        evaluation.metrics["test_error"]
        for evaluation in store.children(run, "evaluation")
        if evaluation.status == "FINISHED" and "test_error" in evaluation.metrics
    ]
    return {
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status,
        "started": run.started.isoformat(timespec="seconds"),
        "ended": None if run.ended is None else run.ended.isoformat(timespec="seconds"),
        "experiment_id": run.experiment_id,
        "dataset": run.tags.get("medarts.dataset"),
        "preset": run.params.get("preset"),
        "seed": run.params.get("seed"),
        "best_run_id": chosen_run_id(run),
        "objectives": objectives_of(run, objective_names(store, run)) if run.status == "FINISHED" else {},
        "hours": run.metrics.get("hours"),
        "test_errors": errors,
    }


def _csv_row(row: Mapping[str, Any]) -> dict[str, Any]:
    errors = row["test_errors"]
    return {
        **{key: row[key] for key in (*CSV_FIRST, "hours")},
        **{f"objectives.{name}": value for name, value in row["objectives"].items()},
        "evaluations": len(errors),
        "lowest_test_error": min(errors, key=_nan_last) if errors else None,
    }


def _csv_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    objectives = dict.fromkeys(f"objectives.{name}" for row in rows for name in row["objectives"])
    return [*CSV_FIRST, *objectives, *CSV_LAST]


def _print_runs(rows: list[dict[str, Any]]) -> None:
    console = results_console()
    if not rows:
        console.print("no searches yet: `medarts search` starts one")
    for row in rows:
        results = [f"{name} {objective(name, value)}" for name, value in row["objectives"].items()]
        if row["hours"] is not None:
            results.append(duration(SECONDS_PER_HOUR * row["hours"]))
        if row["test_errors"]:
            lowest = min(row["test_errors"], key=_nan_last)
            results.append(f"test error {percent(lowest)} ({len(row['test_errors'])} evaluated)")
        console.print(f"{row['run_id']}  {row['name']}")
        console.print(f"  {row['started'][:16].replace('T', ' ')} UTC, {row['dataset']}, {row['status']}")
        if results:
            console.print(f"  {', '.join(results)}")


def _print_given(store: RunStore, shown: int | None) -> None:
    """Evaluations that belong to no search, since their genotype was given."""
    given = [run for run in store.all_of_kind("evaluation") if run.parent_run_id is None][:shown]
    console = results_console()
    if given:
        console.print("\nEvaluations of given genotypes")
    for run in given:
        error = run.metrics.get("test_error")
        result = "" if error is None else f", test error {percent(error)}"
        console.print(f"{run.run_id}  {run.name}")
        when = run.started.isoformat(timespec="seconds")[:16].replace("T", " ")
        console.print(f"  {when} UTC, {run.tags.get('medarts.dataset')}, {run.status}{result}")


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value
