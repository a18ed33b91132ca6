"""`medarts show`: one run with its lineage, genotype and objectives, or an experiment with its table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.tree import Tree

from medarts_ops.class_report import ClassReport
from medarts_ops.class_report_text import facts_of
from medarts_ops.cli.collapse import print_collapse
from medarts_ops.cli.evaluation_output import classes_json, print_classes
from medarts_ops.cli.experiment_output import print_summary, summary_json
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import (
    print_facts,
    print_json,
    print_line,
    print_next,
    print_tree,
    results_console,
    run_json,
)
from medarts_ops.hyperparameters import HYPERPARAMETERS, STRATEGY
from medarts_ops.objectives.shown import exact_objective, objective
from medarts_ops.quantities import SECONDS_PER_HOUR, duration, percent
from medarts_ops.space.collapse import collapse_warning
from medarts_ops.space.formats import format_darts
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking import vocabulary

if TYPE_CHECKING:
    from medarts_ops.summary import Summary
    from medarts_ops.tracking.stores.run_store import RunStore
    from medarts_ops.tracking.stores.stored_run import StoredRun

DEEPEST_GENERATION = 32
"""Generations of a lineage that are drawn, each further to the right; a search has one a stage."""


@click.command()
@click.argument("run_id")
@places_options("tracking_uri")
@json_option
def command(places: Places, *, run_id: str, as_json: bool) -> None:
    """Show a search, stage, individual or evaluation: what it found and where that came from; or an experiment's table.

    The lineage goes from the (best) individual back to its random ancestors. RUN_ID may be the name of a search, an
    evaluation or an experiment.

    \b
    Examples:
      medarts show search-digits
      medarts show table4-digits-20260101-120000-ab12
      medarts show 0123456789abcdef0123456789abcdef --json
    """
    from medarts_ops.tracking.artifacts.files import without_nan
    from medarts_ops.tracking.stores.opening import open_store

    store = open_store(places.tracking_uri, create=False, experiment=places.experiment)
    run = store.find_run(run_id)
    shown = describe_run(store, run)
    summary = _summary_of(store, run, shown["problems"])
    if as_json:
        print_json(without_nan({**shown, "experiment": None if summary is None else summary_json(summary)}))
        return
    console = results_console()
    print_run(console, shown, summary)
    if run.kind == "experiment":
        next_command = ["report", run.run_id] if run.status == "FINISHED" else ["resume", run.name]
        print_next(console, next_command, tracking_uri=places.named_store)
    if vocabulary.JOB_OF_RUN.get(run.kind) == "search" and shown["genotype"] is not None:
        print_next(console, ["evaluate", run.run_id], tracking_uri=places.named_store)


def describe_run(store: RunStore, run: StoredRun) -> dict[str, Any]:
    """A run as plain data.

    `lineage` is the individual that the run stands for and all its ancestors, nearest first; empty where there is
    none. `metrics` are MLflow's last values, `hyperparameters` an individual's own; `classes` is what an evaluated
    network does class by class, None of others and of those of earlier releases, `pictures` are those of it. `stages`
    and `evaluations` are filled for a search, `trainings` for an experiment, those that it took over from before among
    them. `problems` are lines that say what can't be read of all this: the rest is there.
    """
    from medarts_ops.tracking.reading.contents import genotype_of, objective_names
    from medarts_ops.tracking.reading.experiment_report import taken_over_runs
    from medarts_ops.tracking.reading.problems import unless_unreadable
    from medarts_ops.tracking.reading.relations import ancestry, chosen_individual, search_of

    problems: list[str] = []
    search = unless_unreadable(problems, lambda: search_of(store, run))
    names = None if search is None else unless_unreadable(problems, lambda: objective_names(store, search))
    individual = unless_unreadable(problems, lambda: chosen_individual(store, run))
    genotype = unless_unreadable(problems, lambda: genotype_of(store, run))
    ancestors = {} if individual is None else ancestry(store, individual, problems)
    children = store.children(run) if run.kind in ("search", "experiment") else []
    if run.kind == "experiment" and run.status == "FINISHED":
        children += unless_unreadable(problems, lambda: taken_over_runs(store, run)) or []
    below = [{**run_json(each), "metrics": dict(each.metrics)} for each in children]
    return {
        **run_json(run),
        "search_run_id": None if search is None else search.run_id,
        "failure": run.tags.get(vocabulary.FAILURE_TAG) or None,
        "preset": run.params.get("preset"),
        "dataset": run.tags.get(vocabulary.DATASET_TAG),
        "strategy": run.params.get("strategy.name") if run.kind == "search" else None,
        "chosen_by": run.tags.get(vocabulary.CHOSEN_BY_TAG),
        "metrics": dict(run.metrics),
        "hyperparameters": _hyperparameters(run),
        "genotype": None if genotype is None else genotype.model_dump(mode="json"),
        "collapse_warning": None if genotype is None else collapse_warning(genotype),
        "lineage": [_individual_row(entry.run, entry.parents, names or ()) for entry in ancestors.values()],
        **_classes(store, run, problems),
        "stages": [each for each in below if each["kind"] == "stage"],
        "evaluations": [each for each in below if each["kind"] == "evaluation" and run.kind == "search"],
        "trainings": below if run.kind == "experiment" else [],
        "problems": problems,
    }


def _classes(store: RunStore, run: StoredRun, problems: list[str]) -> dict[str, Any]:
    """What an evaluated network does class by class, and where that is drawn."""
    from medarts_ops.tracking.reading.contents import confusion_of
    from medarts_ops.tracking.reading.problems import unless_unreadable

    classes = unless_unreadable(problems, lambda: confusion_of(store, run))
    if classes is None:
        return {"classes": None, "pictures": []}
    pictures = unless_unreadable(problems, lambda: store.artifacts_in(run.run_id, vocabulary.PICTURES))
    return {"classes": classes_json(classes), "pictures": list(pictures or ())}


def _hyperparameters(run: StoredRun) -> dict[str, str]:
    """An individual's own, those that its strategy brings last; none of others, whose settings have the same names."""
    own = [name for name in run.params if name.startswith(STRATEGY)] if run.kind == "individual" else []
    return {name: run.params[name] for name in (*HYPERPARAMETERS, *own) if name in run.params}


def print_run(console: Console, shown: dict[str, Any], summary: Summary | None = None) -> None:
    """Writes what `describe_run` gave, and what an experiment came to."""
    labels = ("kind", "name", "run_id", "status", "started", "ended", "failure", "preset", "dataset", "strategy")
    times = {key: f"{shown[key][:19].replace('T', ' ')} UTC" for key in ("started", "ended") if shown[key] is not None}
    told = shown | times
    facts = [(label.replace("_", " "), told[label]) for label in labels if told[label] is not None]
    chosen = [] if shown["chosen_by"] is None else [("chosen by", shown["chosen_by"])]
    print_facts(console, facts + _results(shown) + chosen + list(shown["hyperparameters"].items()))
    if shown["problems"]:
        console.print("\nWhat can't be read")
        for problem in shown["problems"]:
            print_line(console, f"  {problem}")
    if summary is not None:
        console.print()
        print_summary(console, summary)
    for heading in ("stages", "evaluations", "trainings"):
        rows = shown[heading]
        if rows:
            console.print(f"\n{heading.capitalize()}")
            for row in rows:
                print_line(console, f"  {row['run_id']}  {row['name']}, {row['status']}{_key_result(row)}")
    if shown["classes"] is not None:
        print_classes(console, ClassReport.model_validate(shown["classes"]), shown["pictures"])
    if shown["lineage"]:
        console.print("\nLineage, from the individual back to its random ancestors")
        print_tree(console, lineage_tree(shown["lineage"]))
    if shown["genotype"] is not None:
        console.print("\nGenotype")
        genotype = Genotype.model_validate(shown["genotype"])
        console.print(format_darts(genotype))
        print_collapse(console, genotype)


def _summary_of(store: RunStore, run: StoredRun, problems: list[str]) -> Summary | None:
    """What an experiment came to; None while it is not finished, and of other runs."""
    from medarts_ops.tracking.artifacts.experiments import read_summary
    from medarts_ops.tracking.reading.problems import unless_unreadable

    if run.kind != "experiment" or run.status != "FINISHED":
        return None
    return unless_unreadable(problems, lambda: read_summary(store.read_json_artifact(run.run_id, vocabulary.TABLE)))


def lineage_tree(lineage: list[dict[str, Any]]) -> Tree:
    """The first of `lineage` as root, each individual's parents below it; one met again is not unfolded twice.

    A parent that `lineage` lacks is named by its run id. Below `DEEPEST_GENERATION` nothing is drawn: a line says so.
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
        elif parent not in rows:
            tree.add(f"{parent} (can't be read)")
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
    """What came of the run: an evaluation's own numbers, or the objectives of the individual that it stands for."""
    metrics = shown["metrics"]
    if shown["kind"] != "evaluation":
        chosen = shown["lineage"][:1]
        return [(name, exact_objective(name, value)) for row in chosen for name, value in row["objectives"].items()]
    errors = [key for key in (vocabulary.TEST_ERROR, vocabulary.BEST_TEST_ERROR) if key in metrics]
    results = [(key.replace("_", " "), percent(metrics[key])) for key in errors]
    if errors == [vocabulary.TEST_ERROR] and shown["classes"] is not None:
        results = [("test error", f"{percent(metrics[vocabulary.TEST_ERROR])} (epoch chosen by validation images)")]
    if shown["classes"] is not None:
        results[1:1] = facts_of(ClassReport.model_validate(shown["classes"]))
    return results + ([("parameters", f"{metrics[vocabulary.PARAMS]:,.0f}")] if vocabulary.PARAMS in metrics else [])


def _key_result(row: dict[str, Any]) -> str:
    metrics = row["metrics"]
    shares = {vocabulary.BEST_ACCURACY: "best accuracy", vocabulary.TEST_ERROR: "test error"}
    found = [f", {label} {percent(metrics[key])}" for key, label in shares.items() if key in metrics]
    found += [f", {duration(SECONDS_PER_HOUR * metrics[key])}" for key in (vocabulary.HOURS,) if key in metrics]
    return "".join(found)


def _individual_row(run: StoredRun, parents: tuple[str, ...], objectives: tuple[str, ...]) -> dict[str, Any]:
    from medarts_ops.tracking.reading.contents import objectives_of

    front = run.metrics.get(vocabulary.FRONT, math.nan)
    return {
        "run_id": run.run_id,
        "name": run.name,
        "origin": run.tags.get(vocabulary.ORIGIN_TAG, ""),
        "parents": list(parents),
        "objectives": objectives_of(run, objectives),
        "front": int(front) if math.isfinite(front) else None,
    }
