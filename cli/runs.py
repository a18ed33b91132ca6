"""`medarts runs`: the searches in the store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from medarts_ops.cli.options import json_option, tracking_uri_option
from medarts_ops.cli.output import print_json, results_console
from medarts_ops.cli.quantities import objective, percent

if TYPE_CHECKING:
    from medarts_ops.tracking.run_store import RunStore
    from medarts_ops.tracking.tracked_run import TrackedRun


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@tracking_uri_option
@json_option
def command(*, limit: int, tracking_uri: str | None, as_json: bool) -> None:
    """List the searches in the store, newest first, and what came of them.

    \b
    Examples:
      medarts runs
      medarts runs --tracking-uri http://localhost:5000 --json
    """
    from medarts_ops.tracking.artifact_files import without_nan
    from medarts_ops.tracking.store import open_store

    store = open_store(tracking_uri, create=False)
    found = [_row(store, run) for run in store.searches()[:limit]]
    if as_json:
        print_json(without_nan(found))
    else:
        _print_runs(found)


def _row(store: RunStore, run: TrackedRun) -> dict[str, Any]:
    from medarts_ops.tracking.stored_runs import chosen_run_id, objective_names, objectives_of

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
        "dataset": run.tags.get("medarts.dataset"),
        "best_run_id": chosen_run_id(run),
        "objectives": objectives_of(run, objective_names(store, run)) if run.status == "FINISHED" else {},
        "hours": run.metrics.get("hours"),
        "test_errors": errors,
    }


def _print_runs(rows: list[dict[str, Any]]) -> None:
    console = results_console()
    if not rows:
        console.print("no searches yet: `medarts search` starts one")
    for row in rows:
        results = [f"{name} {objective(name, value)}" for name, value in row["objectives"].items()]
        if row["hours"] is not None:
            results.append(f"{row['hours']:.3g} h")
        if row["test_errors"]:
            lowest = min(row["test_errors"], key=_nan_last)
            results.append(f"test error {percent(lowest)} ({len(row['test_errors'])} evaluated)")
        console.print(f"{row['run_id']}  {row['name']}")
        console.print(f"  {row['started'][:16].replace('T', ' ')} UTC, {row['dataset']}, {row['status']}")
        if results:
            console.print(f"  {', '.join(results)}")


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value
