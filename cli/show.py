"""`medarts show`: one run with its lineage, genotype and objectives, or an experiment with its table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.tree import Tree

from medarts_ops.class_report import ClassReport
from medarts_ops.class_report_text import facts_of
from medarts_ops.cli import completion
from medarts_ops.cli.collapse import print_collapse
from medarts_ops.cli.evaluation_output import classes_json, print_classes
from medarts_ops.cli.experiment_output import print_summary, summary_json
from medarts_ops.cli.next_command import job_line
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import (
    command_line,
    print_facts,
    print_json,
    print_line,
    print_next_lines,
    print_tree,
    results_console,
    run_json,
)
from medarts_ops.cli.show_parts import OF_A_SEARCH, OF_A_STAGE, by_rank, individual_row, print_individuals, print_runs
from medarts_ops.configs.layers import replacements
from medarts_ops.hyperparameters import HYPERPARAMETERS, STRATEGY
from medarts_ops.objectives.shown import exact_objective, objective
from medarts_ops.quantities import percent
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
@click.argument("run_id", shell_complete=completion.runs)
@places_options("tracking_uri", "storage", "work_dir")
@json_option
def command(places: Places, *, run_id: str, as_json: bool) -> None:
    """Show a search, stage, individual or evaluation: what it found and where that came from; or an experiment's table.

    The lineage goes from the (best) individual back to its random ancestors. RUN_ID may be the name of a search, an
    evaluation or an experiment, or the first eight or more letters of an id; a stage or an individual is SEARCH/NAME,
    as everywhere that takes a RUN_ID.

    \b
    Examples:
      medarts show search-digits
      medarts show search-digits/init-02
      medarts show search-digits/stage-init
      medarts show table4-digits-20260101-120000-ab12
      medarts show 0123456789abcdef0123456789abcdef --json
    """
    from medarts_ops.tracking.artifacts.files import without_nan
    from medarts_ops.tracking.stores.opening import open_store

    store = open_store(places.tracking_uri, create=False, experiment=places.experiment)
    run = store.find_run(run_id)
    shown = describe_run(store, run, places.work_dir)
    summary = _summary_of(store, run, shown["problems"])
    if as_json:
        print_json(without_nan({**shown, "experiment": None if summary is None else summary_json(summary)}))
        return
    console = results_console()
    print_run(console, shown, summary)
    _print_what_comes_next(console, shown, places)


def _print_what_comes_next(console: Console, shown: dict[str, Any], places: Places) -> None:
    """The commands that go on from here: a stopped job is resumed, a genotype evaluated, an experiment reported."""
    lines = [] if shown["resumes"] is None else [job_line(places, "resume", shown["resumes"])]
    store = places.named_store
    if shown["kind"] == "experiment" and shown["status"] == "FINISHED":
        lines.append(command_line("report", shown["run_id"], tracking_uri=store))
    if vocabulary.JOB_OF_RUN.get(shown["kind"]) == "search" and shown["genotype"] is not None:
        lines.append(command_line("evaluate", shown["run_id"], tracking_uri=store))
    if lines:
        print_next_lines(console, lines)


def describe_run(store: RunStore, run: StoredRun, work_dir: Path) -> dict[str, Any]:
    """A run as plain data.

    `lineage` is the individual that the run stands for and all its ancestors, nearest first; empty where there is
    none. `metrics` are MLflow's last values, `hyperparameters` an individual's own; `classes` is what an evaluated
    network does class by class, None of others and of those of earlier releases, `pictures` are those of it. `stages`
    and `evaluations` are filled for a search, `individuals` for it and for a stage, best first, `trainings` for an
    experiment, those that it took over from before among them. `deciding` is the objective by which the best were
    chosen. `resumes` is the job that can go on, by its folder in `work_dir` where the run says that it is at work; None
    of one that is finished. `problems` are lines that say what can't be read of all this: the rest is there.
    """
    from medarts_ops.tracking.artifacts.shapes import read_evaluate_tag
    from medarts_ops.tracking.reading.contents import deciding_objective, genotype_of, objective_names
    from medarts_ops.tracking.reading.jobs import resumable_job
    from medarts_ops.tracking.reading.problems import unless_unreadable
    from medarts_ops.tracking.reading.relations import ancestry, chosen_individual, chosen_run_id, search_of

    problems: list[str] = []
    search = unless_unreadable(problems, lambda: search_of(store, run))
    names = None if search is None else unless_unreadable(problems, lambda: objective_names(store, search))
    individual = unless_unreadable(problems, lambda: chosen_individual(store, run))
    genotype = unless_unreadable(problems, lambda: genotype_of(store, run))
    ancestors = {} if individual is None else ancestry(store, individual, problems)
    children, parts = _runs_below(store, run, problems)
    chosen = None if search is None else chosen_run_id(search)
    individuals = [individual_row(each, names or (), chosen) for each in parts if each.kind == "individual"]
    below = [{**run_json(each), "metrics": dict(each.metrics), "warnings": _warnings(each)} for each in children]
    return {
        **run_json(run),
        "search_run_id": None if search is None else search.run_id,
        "failure": run.tags.get(vocabulary.FAILURE_TAG) or None,
        "pruned": run.tags.get(vocabulary.PRUNED_TAG) or None,
        "preset": run.params.get("preset"),
        "dataset": run.tags.get(vocabulary.DATASET_TAG),
        "strategy": run.params.get("strategy.name") if run.kind == "search" else None,
        "evaluate": unless_unreadable(problems, lambda: read_evaluate_tag(run.run_id, run.tags)),
        "deciding": None if search is None else deciding_objective(search),
        "resumes": unless_unreadable(problems, lambda: resumable_job(run, search, work_dir)),
        "chosen_by": run.tags.get(vocabulary.CHOSEN_BY_TAG),
        "metrics": dict(run.metrics),
        "hyperparameters": _hyperparameters(run),
        "genotype": None if genotype is None else genotype.model_dump(mode="json"),
        "warnings": _warnings(run),
        "collapse_warning": None if genotype is None else collapse_warning(genotype),
        "individuals": by_rank(individuals),
        "lineage": [
            {**individual_row(entry.run, names or (), chosen), "parents": list(entry.parents)}
            for entry in ancestors.values()
        ],
        **_classes(store, run, problems),
        "stages": [each for each in below if each["kind"] == "stage"],
        "evaluations": [each for each in below if each["kind"] == "evaluation" and run.kind == "search"],
        "trainings": below if run.kind == "experiment" else [],
        "problems": problems,
    }


def _runs_below(
    store: RunStore, run: StoredRun, problems: list[str]
) -> tuple[Sequence[StoredRun], Sequence[StoredRun]]:
    """The runs that lie below one, or were taken over by it, and those among which its individuals are."""
    from medarts_ops.tracking.reading.experiment_report import taken_over_runs
    from medarts_ops.tracking.reading.problems import unless_unreadable

    children = store.children(run) if run.kind in ("search", "stage", "experiment") else []
    if run.kind == "experiment" and run.status == "FINISHED":
        children += unless_unreadable(problems, lambda: taken_over_runs(store, run)) or []
    if run.kind == "search" and vocabulary.SEARCH_TAG in run.tags:
        return children, store.runs_of_search(run.experiment_id, run.tags[vocabulary.SEARCH_TAG])
    return children, children


def _classes(store: RunStore, run: StoredRun, problems: list[str]) -> dict[str, Any]:
    """What an evaluated network does class by class, and where that is drawn."""
    from medarts_ops.tracking.reading.contents import confusion_of
    from medarts_ops.tracking.reading.problems import unless_unreadable

    classes = unless_unreadable(problems, lambda: confusion_of(store, run))
    if classes is None:
        return {"classes": None, "pictures": []}
    pictures = unless_unreadable(problems, lambda: store.artifacts_in(run.run_id, vocabulary.PICTURES))
    return {"classes": classes_json(classes), "pictures": list(pictures or ())}


def _warnings(run: StoredRun) -> list[str]:
    """Why a stage's ranking means nothing, and what of it, or of an evaluation, ended early."""
    found = run.tags.get(vocabulary.WARNINGS_TAG, "").splitlines()
    cut = run.tags.get(vocabulary.CUT_TAG) if run.kind == "evaluation" else None
    return found if cut is None else [*found, f"{cut}: the time was over"]


def _hyperparameters(run: StoredRun) -> dict[str, str]:
    """An individual's own, those that its strategy brings last; none of others, whose settings have the same names."""
    own = [name for name in run.params if name.startswith(STRATEGY)] if run.kind == "individual" else []
    return {name: run.params[name] for name in (*HYPERPARAMETERS, *own) if name in run.params}


def print_run(console: Console, shown: dict[str, Any], summary: Summary | None = None) -> None:
    """Writes what `describe_run` gave, and what an experiment came to."""
    of_run = ("kind", "name", "run_id", "status", "started", "ended", "failure", "pruned")
    labels = (*of_run, "preset", "dataset", "strategy")
    times = {key: f"{shown[key][:19].replace('T', ' ')} UTC" for key in ("started", "ended") if shown[key] is not None}
    told = shown | times
    if shown["resumes"] is not None and shown["status"] == "RUNNING":
        told["status"] = "RUNNING, but no process works on it: it was killed"
    facts = [(label.replace("_", " "), told[label]) for label in labels if told[label] is not None]
    chosen = [] if shown["chosen_by"] is None else [("chosen by", shown["chosen_by"])]
    if shown["evaluate"]:
        said = " ".join(f"{path}={json.dumps(value)}" for path, value in replacements(shown["evaluate"]))
        chosen.append(("evaluations", said))
    print_facts(console, facts + _results(shown) + chosen + list(shown["hyperparameters"].items()))
    for warning in shown["warnings"]:
        print_line(console, f"\nWarning: {warning}")
    if shown["problems"]:
        console.print("\nWhat can't be read")
        for problem in shown["problems"]:
            print_line(console, f"  {problem}")
    if summary is not None:
        console.print()
        print_summary(console, summary)
    for heading in ("stages", "individuals", "evaluations", "trainings"):
        rows = shown[heading]
        if rows:
            console.print(f"\n{heading.capitalize()}")
        if rows and heading == "individuals":
            print_individuals(console, rows, OF_A_STAGE if shown["kind"] == "stage" else OF_A_SEARCH)
        elif rows:
            print_runs(console, rows, shown["deciding"])
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
    named = {vocabulary.TEST_ERROR: "test error", vocabulary.BEST_TEST_ERROR: "lowest test error"}
    errors = [key for key in named if key in metrics]
    results = [(named[key], percent(metrics[key])) for key in errors]
    if errors == [vocabulary.TEST_ERROR] and shown["classes"] is not None:
        results = [("test error", f"{percent(metrics[vocabulary.TEST_ERROR])} (epoch chosen by validation images)")]
    elif shown["status"] != "FINISHED":
        results = [(name, f"{value} (so far: the training has not ended)") for name, value in results]
    if shown["classes"] is not None:
        results[1:1] = facts_of(ClassReport.model_validate(shown["classes"]))
    return results + ([("parameters", f"{metrics[vocabulary.PARAMS]:,.0f}")] if vocabulary.PARAMS in metrics else [])
