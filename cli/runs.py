"""`medarts runs`: the searches in the store, experiments and lone evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from medarts_ops.cli.options import Places, check_one_format, csv_option, json_option, places_options
from medarts_ops.cli.output import print_csv, print_json, print_line, results_console, run_json
from medarts_ops.objectives.shown import objective
from medarts_ops.quantities import SECONDS_PER_HOUR, duration, percent
from medarts_ops.tracking.vocabulary import (
    DATASET_TAG,
    EXPERIMENT,
    EXPERIMENT_KIND_TAG,
    FAILED_TRAININGS,
    HOURS,
    TEST_ERROR,
)

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore
    from medarts_ops.tracking.stores.stored_run import StoredRun

SHOWN = 20
"""How many searches are listed unless asked; a table for other programs holds all."""

OF_RUN = ("run_id", "name", "status", "started", "ended", "experiment_id")
CSV_FIRST = (*OF_RUN, "experiment", "dataset", "preset", "seed", "best_run_id")
CSV_LAST = ("hours", "evaluations", "lowest_test_error", "problems", "part_of")


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"How many, newest first.  [default: {SHOWN}, with --csv all]"
)
@places_options("tracking_uri")
@csv_option
@json_option
def command(places: Places, *, limit: int | None, as_csv: bool, as_json: bool) -> None:
    """List the searches in the store, newest first, and what came of them.

    Then experiments, and evaluations that belong to no search; JSON and CSV have the searches alone.

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
    searches, evaluations = store.all_of_kind("search", shown), store.all_of_kind("evaluation")
    below: dict[str | None, list[StoredRun]] = {}
    for evaluation in reversed(evaluations):
        below.setdefault(evaluation.parent_run_id, []).append(evaluation)
    experiments_over_seeds = store.all_of_kind("experiment")
    found = [_row(store, run, below.get(run.run_id, []), experiments) for run in searches]
    if not found:
        store.check_none_is_deleted()
    if as_csv:
        objectives = dict.fromkeys(f"objectives.{name}" for row in found for name in row["objectives"])
        print_csv([_csv_row(row) for row in found], [*CSV_FIRST, *objectives, *CSV_LAST])
    elif as_json:
        print_json(without_nan(found))
    else:
        parts = {run.run_id for run in experiments_over_seeds}  # `medarts show` lists their searches
        _print_runs([row for row in found if row["part_of"] not in parts])
        _print_experiments(experiments_over_seeds[:shown], experiments)
        deleted = {search.run_id for search in store.deleted_searches()}
        alone = {
            "Evaluations of given genotypes": [run for run in evaluations if run.parent_run_id is None],
            "Evaluations whose search was deleted": [run for run in evaluations if run.parent_run_id in deleted],
        }
        for heading, runs in alone.items():
            _print_evaluations(heading, runs[:shown], experiments)


def _row(
    store: RunStore, run: StoredRun, evaluations: Sequence[StoredRun], experiments: Mapping[str, str]
) -> dict[str, Any]:
    """A search with its evaluations, oldest first; `problems` says what of it can't be read."""
    from medarts_ops.tracking.reading.contents import objective_names, objectives_of
    from medarts_ops.tracking.reading.problems import unless_unreadable
    from medarts_ops.tracking.reading.relations import chosen_run_id

    problems: list[str] = []
    names = unless_unreadable(problems, lambda: objective_names(store, run)) if run.status == "FINISHED" else None
    described = run_json(run)
    return {
        **{key: described[key] for key in OF_RUN},
        "experiment": experiments.get(run.experiment_id),
        "dataset": run.tags.get(DATASET_TAG),
        "preset": run.params.get("preset"),
        "seed": run.params.get("seed"),
        "best_run_id": chosen_run_id(run),
        "objectives": objectives_of(run, names or ()),
        "hours": run.metrics.get(HOURS),
        "test_errors": [
            evaluation.metrics[TEST_ERROR]
            for evaluation in evaluations
            if evaluation.status == "FINISHED" and TEST_ERROR in evaluation.metrics
        ],
        "problems": problems,
        "part_of": run.parent_run_id,
    }


def _csv_row(row: Mapping[str, Any]) -> dict[str, Any]:
    errors = row["test_errors"]
    return {
        **{key: row[key] for key in (*CSV_FIRST, "hours")},
        **{f"objectives.{name}": value for name, value in row["objectives"].items()},
        "evaluations": len(errors),
        "lowest_test_error": min(errors, key=_nan_last) if errors else None,
        "problems": "; ".join(row["problems"]) or None,
        "part_of": row["part_of"],
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
        print_line(console, f"{row['run_id']}  {row['name']}")
        print_line(console, f"  {started} UTC, {row['dataset']}, {row['status']}{place}")
        if results:
            print_line(console, f"  {', '.join(results)}")
        for problem in row["problems"]:
            print_line(console, f"  {problem}")


def _print_experiments(runs: Sequence[StoredRun], experiments: Mapping[str, str]) -> None:
    """Experiments over seeds; `experiments` are MLflow's, names by ids."""
    console = results_console()
    if runs:
        console.print("\nExperiments")
    for run in runs:
        started = f"{run.started:%Y-%m-%d %H:%M} UTC"
        what = f"{run.tags.get(EXPERIMENT_KIND_TAG)} on {run.tags.get(DATASET_TAG)}"
        print_line(console, f"{run.run_id}  {run.name}")
        print_line(console, f"  {started}, {what}, {run.status}{_elsewhere(experiments.get(run.experiment_id))}")
        results = experiment_results(run.metrics)
        if results:
            print_line(console, f"  {', '.join(results)}")


def experiment_results(metrics: Mapping[str, float]) -> list[str]:
    """What an experiment came to in a few words: its correlation, or the best of what it compared; failures; hours."""
    results = []
    if "pearson" in metrics:
        results.append(f"Pearson r {metrics['pearson']:.3f}")
    for column, best, said in (("error/", min, "lowest test error"), ("search_accuracy/", max, "best search accuracy")):
        found = {key.removeprefix(column): value for key, value in metrics.items() if key.startswith(column)}
        if found and not results:
            label = best(found, key=lambda each: found[each])
            results.append(f"{said} {percent(found[label])} ({label})")
    if metrics.get(FAILED_TRAININGS):
        results.append(f"{metrics[FAILED_TRAININGS]:.0f} failed")
    return results + ([duration(SECONDS_PER_HOUR * metrics[HOURS])] if HOURS in metrics else [])


def _print_evaluations(heading: str, evaluations: Sequence[StoredRun], experiments: Mapping[str, str]) -> None:
    """Evaluations that no search lists."""
    console = results_console()
    if evaluations:
        console.print(f"\n{heading}")
    for run in evaluations:
        error = run.metrics.get(TEST_ERROR)
        result = _elsewhere(experiments.get(run.experiment_id))
        result += "" if error is None else f", test error {percent(error)}"
        started = f"{run.started:%Y-%m-%d %H:%M} UTC"
        print_line(console, f"{run.run_id}  {run.name}")
        print_line(console, f"  {started}, {run.tags.get(DATASET_TAG)}, {run.status}{result}")


def _elsewhere(experiment: str | None) -> str:
    """The experiment of a run that is in another than our own."""
    return "" if experiment in (EXPERIMENT, None) else f", experiment {experiment}"


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value
