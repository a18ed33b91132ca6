"""`medarts runs`: the searches in the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from medarts_ops.cli.options import Places, check_one_format, csv_option, json_option, places_options
from medarts_ops.cli.output import print_csv, print_json, results_console, run_json
from medarts_ops.objectives.shown import objective
from medarts_ops.quantities import SECONDS_PER_HOUR, duration, percent
from medarts_ops.tracking.vocabulary import DATASET_TAG, EXPERIMENT, HOURS, TEST_ERROR

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore
    from medarts_ops.tracking.stores.stored_run import StoredRun

SHOWN = 20
"""How many searches are listed unless asked; a table for other programs holds all."""

OF_RUN = ("run_id", "name", "status", "started", "ended", "experiment_id")
CSV_FIRST = (*OF_RUN, "experiment", "dataset", "preset", "seed", "best_run_id")
CSV_LAST = ("hours", "evaluations", "lowest_test_error")


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"How many, newest first.  [default: {SHOWN}, with --csv all]"
)
@places_options("tracking_uri")
@csv_option
@json_option
def command(places: Places, *, limit: int | None, as_csv: bool, as_json: bool) -> None:
    """List the searches in the store, newest first, and what came of them; then evaluations of given genotypes.

    \b
    Examples:
      medarts runs
      medarts runs --csv > searches.csv
      medarts runs --experiment flowers
      medarts runs --tracking-uri http://localhost:5000 --json
    """
    from medarts_ops.tracking.artifacts.files import without_nan
    from medarts_ops.tracking.stores.opening import open_store

    check_one_format(as_csv, as_json)
    store = open_store(places.tracking_uri, create=False, experiment=places.experiment)
    shown = limit or (None if as_csv else SHOWN)
    experiments = store.experiment_names()
    found = [_row(store, run, experiments) for run in store.searches()[:shown]]
    if not found:
        store.check_none_is_deleted()
    if as_csv:
        objectives = dict.fromkeys(f"objectives.{name}" for row in found for name in row["objectives"])
        print_csv([_csv_row(row) for row in found], [*CSV_FIRST, *objectives, *CSV_LAST])
    elif as_json:
        print_json(without_nan(found))
    else:
        _print_runs(found)
        _print_given(store, shown, experiments)


def _row(store: RunStore, run: StoredRun, experiments: Mapping[str, str]) -> dict[str, Any]:
    from medarts_ops.tracking.reading.contents import objective_names, objectives_of
    from medarts_ops.tracking.reading.relations import chosen_run_id

    errors = [
        evaluation.metrics[TEST_ERROR]
        for evaluation in store.children(run, "evaluation")
        if evaluation.status == "FINISHED" and TEST_ERROR in evaluation.metrics
    ]
    described = run_json(run)
    return {
        **{key: described[key] for key in OF_RUN},
        "experiment": experiments.get(run.experiment_id),
        "dataset": run.tags.get(DATASET_TAG),
        "preset": run.params.get("preset"),
        "seed": run.params.get("seed"),
        "best_run_id": chosen_run_id(run),
        "objectives": objectives_of(run, objective_names(store, run)) if run.status == "FINISHED" else {},
        "hours": run.metrics.get(HOURS),
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
        started = row["started"][:16].replace("T", " ")
        place = _elsewhere(row["experiment"])
        console.print(f"{row['run_id']}  {row['name']}\n  {started} UTC, {row['dataset']}, {row['status']}{place}")
        if results:
            console.print(f"  {', '.join(results)}")


def _print_given(store: RunStore, shown: int | None, experiments: Mapping[str, str]) -> None:
    """Evaluations that belong to no search, since their genotype was given."""
    given = [run for run in store.all_of_kind("evaluation") if run.parent_run_id is None][:shown]
    console = results_console()
    if given:
        console.print("\nEvaluations of given genotypes")
    for run in given:
        error = run.metrics.get(TEST_ERROR)
        result = _elsewhere(experiments.get(run.experiment_id))
        result += "" if error is None else f", test error {percent(error)}"
        started = f"{run.started:%Y-%m-%d %H:%M} UTC"
        console.print(f"{run.run_id}  {run.name}\n  {started}, {run.tags.get(DATASET_TAG)}, {run.status}{result}")


def _elsewhere(experiment: str | None) -> str:
    """The experiment of a run that is in another than our own."""
    return "" if experiment in (EXPERIMENT, None) else f", experiment {experiment}"


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value
