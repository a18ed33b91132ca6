"""`medarts show`: one run with its lineage, genotype and objectives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.tree import Tree

from medarts_ops.cli.options import json_option, named_store, tracking_uri_option
from medarts_ops.cli.output import print_facts, print_json, print_next, print_tree, results_console, run_json
from medarts_ops.hyperparameters import HYPERPARAMETERS
from medarts_ops.objectives.shown import exact_objective, objective
from medarts_ops.quantities import SECONDS_PER_HOUR, duration, percent
from medarts_ops.space.formats import format_darts
from medarts_ops.space.genotype import Genotype

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore
    from medarts_ops.tracking.stores.tracked_run import TrackedRun

DEEPEST_GENERATION = 32
"""Generations of a lineage that are drawn, each further to the right; a search has one a stage."""


@click.command()
@click.argument("run_id")
@tracking_uri_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, run_id: str, tracking_uri: str | None, as_json: bool) -> None:
    """Show a search, stage, individual or evaluation: what it found and where that came from.

    The lineage goes from the (best) individual back to its random ancestors. RUN_ID may be the name of a search or an
    evaluation.

    \b
    Examples:
      medarts show search-digits
      medarts show 0123456789abcdef0123456789abcdef --json
    """
    from medarts_ops.tracking.artifacts.files import without_nan
    from medarts_ops.tracking.stores.opening import open_store

    store = open_store(tracking_uri, create=False)
    run = store.find_run(run_id)
    shown = describe_run(store, run)
    if as_json:
        print_json(without_nan(shown))
        return
    console = results_console()
    print_run(console, shown)
    if run.kind != "evaluation" and shown["genotype"] is not None:
        console.print()
        print_next(console, ["evaluate", run.run_id], tracking_uri=named_store(ctx))


def describe_run(store: RunStore, run: TrackedRun) -> dict[str, Any]:
    """A run as plain data.

    `lineage` is the individual that the run stands for and all its ancestors, nearest first; empty where there is
    none. `metrics` are MLflow's last values, `hyperparameters` an individual's own; `stages` and `evaluations` are
    filled for a search.
    """
    from medarts_ops.tracking.reading.stored_runs import (
        ancestry,
        chosen_individual,
        genotype_of,
        objective_names,
        search_of,
    )

    search = search_of(store, run)
    names = () if search is None else objective_names(store, search)
    individual = chosen_individual(store, run)
    genotype = genotype_of(store, run)
    ancestors = {} if individual is None else ancestry(store, individual)
    evaluations = store.children(run, "evaluation") if run.kind == "search" else []
    stages = store.children(run, "stage") if run.kind == "search" else []
    return {
        **run_json(run),
        "search_run_id": None if search is None else search.run_id,
        "failure": run.tags.get("medarts.failure") or None,
        "metrics": dict(run.metrics),
        "hyperparameters": {name: run.params[name] for name in HYPERPARAMETERS if name in run.params},
        "genotype": None if genotype is None else genotype.model_dump(mode="json"),
        "lineage": [_individual_row(entry.run, entry.parents, names) for entry in ancestors.values()],
        "stages": [{**run_json(stage), "metrics": dict(stage.metrics)} for stage in stages],
        "evaluations": [{**run_json(entry), "metrics": dict(entry.metrics)} for entry in evaluations],
    }


def print_run(console: Console, shown: dict[str, Any]) -> None:
    """Writes what `describe_run` gave."""
    labels = ("kind", "name", "run_id", "status", "started", "ended", "failure")
    facts = [(label.replace("_", " "), _fact(label, shown[label])) for label in labels if shown[label] is not None]
    print_facts(console, facts + _results(shown) + list(shown["hyperparameters"].items()))
    for heading, rows in (("Stages", shown["stages"]), ("Evaluations", shown["evaluations"])):
        if rows:
            console.print(f"\n{heading}")
            for row in rows:
                console.print(f"  {row['run_id']}  {row['name']}, {row['status']}{_key_result(row)}")
    if shown["lineage"]:
        console.print("\nLineage, from the individual back to its random ancestors")
        print_tree(console, lineage_tree(shown["lineage"]))
    if shown["genotype"] is not None:
        console.print("\nGenotype")
        console.print(format_darts(Genotype.model_validate(shown["genotype"])))


def lineage_tree(lineage: list[dict[str, Any]]) -> Tree:
    """The first of `lineage` as root, each individual's parents below it; one met again is not unfolded twice.

    Below `DEEPEST_GENERATION` nothing is drawn: a line says so.
    """
    rows = {row["run_id"]: row for row in lineage}
    root = Tree(_label(lineage[0]))
    unfolded = {lineage[0]["run_id"]}
    # From the root to where we are: a branch, and the parents that it still lacks. Anybody can write a long lineage.
    line: list[tuple[Tree, Iterator[str]]] = [(root, iter(lineage[0]["parents"]))]
    while line:
        tree, parents = line[-1]
        parent = next(parents, None)
        if parent is None:
            line.pop()
        elif len(line) > DEEPEST_GENERATION:
            tree.add("and so on: --json lists them all")
            line.pop()
        elif parent in unfolded:
            tree.add(f"{_label(rows[parent])} (as above)")
        else:
            unfolded.add(parent)
            line.append((tree.add(_label(rows[parent])), iter(rows[parent]["parents"])))
    return root


def _label(row: dict[str, Any]) -> str:
    values = [f"{name} {objective(name, value)}" for name, value in row["objectives"].items()]
    return ", ".join([f"{row['name']} ({row['origin']})", *values, row["run_id"]])


def _results(shown: dict[str, Any]) -> list[tuple[str, str]]:
    metrics = shown["metrics"]
    if shown["kind"] == "evaluation":
        results = [
            (key.replace("_", " "), percent(metrics[key]))
            for key in ("test_error", "best_test_error")
            if key in metrics
        ]
        return results + [("parameters", f"{metrics['params']:,.0f}")] if "params" in metrics else results
    chosen = shown["lineage"][:1]
    return [(name, exact_objective(name, value)) for row in chosen for name, value in row["objectives"].items()]


def _fact(label: str, value: str) -> str:
    return f"{value[:19].replace('T', ' ')} UTC" if label in ("started", "ended") else value


def _key_result(row: dict[str, Any]) -> str:
    metrics = row["metrics"]
    found = [
        f"{label} {percent(metrics[key])}"
        for key, label in (("best_accuracy", "best accuracy"), ("test_error", "test error"))
        if key in metrics
    ]
    found += [duration(SECONDS_PER_HOUR * metrics["hours"])] if "hours" in metrics else []
    return "".join(f", {part}" for part in found)


def _individual_row(run: TrackedRun, parents: tuple[str, ...], objectives: tuple[str, ...]) -> dict[str, Any]:
    from medarts_ops.tracking.reading.stored_runs import objectives_of

    front = run.metrics.get("front", math.nan)
    return {
        "run_id": run.run_id,
        "name": run.name,
        "origin": run.tags.get("medarts.origin", ""),
        "parents": list(parents),
        "objectives": objectives_of(run, objectives),
        "front": int(front) if math.isfinite(front) else None,
    }
