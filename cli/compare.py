"""`medarts compare`: runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len
from rich.console import Console

from medarts_ops.cli import completion
from medarts_ops.cli.options import Places, check_one_format, csv_option, json_option, places_options
from medarts_ops.cli.output import (
    print_csv,
    print_facts,
    print_json,
    print_line,
    print_table,
    results_console,
    run_json,
    table,
)
from medarts_ops.cli.ui import print_link, served_pages
from medarts_ops.objectives.shown import exact_objective
from medarts_ops.quantities import counted, percent
from medarts_ops.space.differences import GenotypeDifferences, genotype_differences
from medarts_ops.space.formats import format_darts

if TYPE_CHECKING:
    from medarts_ops.tracking.reading.comparison import ComparedRun, Comparison

NOTHING = "-"
GAP = 2
"""Columns between those of a table."""


Lines = Mapping[str, tuple[str, ...]]
"""Rows of a table of runs: what each is of, and its text for each run."""


@click.command(short_help="Show runs side by side.")
@click.argument("runs", metavar="RUN_ID RUN_ID…", nargs=-1, required=True, shell_complete=completion.runs)
@places_options("tracking_uri")
@csv_option
@json_option
def command(places: Places, *, runs: tuple[str, ...], as_csv: bool, as_json: bool) -> None:
    """Show two or more runs side by side: settings that differ, objectives and metrics, cost, genotypes.

    The runs are all searches, all stages, all individuals, all evaluations or all experiments. A RUN_ID may be the
    name of a search, an evaluation or an experiment, or SEARCH/NAME of a stage or an individual. --csv has a row for
    each run, with all its settings (params.…) and metrics (metrics.…), equal ones, too.

    \b
    Examples:
      medarts compare search-digits search-digits-2
      medarts compare mine yours theirs --csv > compared.csv
      medarts compare 0123456789abcdef0123456789abcdef 123456789abcdef0123456789abcdef0 --json
    """
    from medarts_ops.tracking.artifacts.files import without_nan
    from medarts_ops.tracking.reading.comparison import compare_runs
    from medarts_ops.tracking.stores.opening import open_store

    check_one_format(as_csv, as_json)
    if len(runs) < 2:
        raise click.UsageError(f"a comparison takes two runs at least: got {runs[0]!r} alone")
    compared = compare_runs(open_store(places.tracking_uri, create=False, experiment=places.experiment), runs)
    if as_csv:
        rows = [_csv_row(run) for run in compared.runs]
        print_csv(rows, list(dict.fromkeys(key for row in rows for key in row)))
    elif as_json:
        pages = served_pages(places.tracking_uri)
        print_json(without_nan(comparison_json(compared, None if pages is None else _link(compared, pages))))
    else:
        console = results_console()
        print_comparison(console, compared)
        console.print()
        print_link(console, "Side by side", lambda pages: _link(compared, pages), places)


def comparison_json(compared: Comparison, link: str | None) -> dict[str, Any]:
    """A comparison as plain data: the runs in order, and lists in that order where they differ.

    `genotypes` compares those that have one, in the order of its `run_ids`; null where fewer than two have. A run's
    `problems` are lines that say what of it can't be read.
    """
    differences = _genotype_differences(compared)
    return {
        "kind": compared.kind,
        "runs": [
            {
                **run_json(run.run),
                "search_run_id": run.search_run_id,
                "settings": run.settings,
                "objectives": dict(run.objectives),
                "metrics": dict(run.run.metrics),
                "hours": run.hours,
                "genotype": None if run.genotype is None else run.genotype.model_dump(mode="json"),
                "problems": list(run.problems),
            }
            for run in compared.runs
        ],
        "differing_settings": {key: list(values) for key, values in compared.differing_settings.items()},
        "equal_settings": compared.equal_settings,
        "genotypes": None
        if differences is None
        else {
            "run_ids": [run.run.run_id for run in compared.with_genotype],
            "equal_edges": differences.equal,
            "differing_edges": [edge._asdict() for edge in differences.edges],
            "differing_concats": dict(differences.concats),
        },
        "link": link,
    }


def print_comparison(console: Console, compared: Comparison) -> None:
    """Writes a comparison for people; what does not fit the console side by side is told value by value."""
    letters = [run_letter(place) for place in range(len(compared.runs))]
    described = [
        f"{run.run_id}  {run.name}, {run.status}, {run.started:%Y-%m-%d %H:%M} UTC"
        for run in (each.run for each in compared.runs)
    ]
    print_facts(console, list(zip(letters, described, strict=True)))
    for letter, compared_run in zip(letters, compared.runs, strict=True):
        for problem in compared_run.problems:
            print_line(console, f"{letter}: {problem}")
    differing, equal = compared.differing_settings, counted(compared.equal_settings, "setting")
    settings = {
        key: tuple(NOTHING if value is None else str(value) for value in values)
        for key, values in sorted(differing.items())
    }
    numbers = compared.objectives | compared.metrics
    results = {name: tuple(_number(name, value) for value in values) for name, values in numbers.items()}
    hours = [run.hours for run in compared.runs]
    console.print(f"\nSettings that differ ({equal} the same)" if differing else f"\nSettings: all {equal} the same")
    _print_lines(console, letters, settings)
    if results:
        console.print("\nResults")
        _print_lines(console, letters, results)
    if any(value is not None for value in hours):
        console.print(f"\n{compared.kind.capitalize()} cost, hours of training")
        _print_lines(console, letters, {"hours": tuple(_number("hours", value) for value in hours)})
    _print_genotypes(console, compared, letters)


def run_letter(place: int) -> str:
    """A short name for the run at a place: A to Z, then AA, AB and so on."""
    rest, letter = divmod(place, 26)
    return ("" if rest == 0 else run_letter(rest - 1)) + chr(ord("A") + letter)


def _print_genotypes(console: Console, compared: Comparison, letters: Sequence[str]) -> None:
    if compared.kind == "experiment":
        return  # it compares genotypes itself, and has none
    without = [letter for letter, run in zip(letters, compared.runs, strict=True) if run.genotype is None]
    if without:
        said = "No genotype" if any(run.problems for run in compared.runs) else "No genotype yet"
        console.print(f"\n{said}: {', '.join(without)}")
    differences = _genotype_differences(compared)
    if differences is None:
        return
    equal = f"{counted(differences.equal, 'edge')} the same"
    if not differences.edges and not differences.concats:
        console.print(f"\nGenotypes: no difference, {equal}")
        return
    console.print(f"\nGenotypes, edges that differ ({equal})")
    lines = {
        f"{edge.cell} {edge.source}→{edge.node}": tuple(" + ".join(each) or NOTHING for each in edge.operations)
        for edge in differences.edges
    }
    for cell, found in differences.concats.items():
        lines[f"{cell} output"] = tuple(" ".join(map(str, states)) for states in found)
    _print_lines(console, [letter for letter in letters if letter not in without], lines)


def _genotype_differences(compared: Comparison) -> GenotypeDifferences | None:
    genotypes = [run.genotype for run in compared.with_genotype if run.genotype is not None]
    return genotype_differences(genotypes) if len(genotypes) > 1 else None


def _print_lines(console: Console, letters: Sequence[str], lines: Lines) -> None:
    if not lines:
        return
    columns = zip(letters, *lines.values(), strict=True)
    widest = [max(map(cell_len, column)) for column in (lines, *columns)]
    if sum(widest) + GAP * len(letters) > console.width:
        _print_by_value(console, letters, lines)
        return
    made = table("", *letters, numbers=letters)
    for label, texts in lines.items():
        made.add_row(label, *texts)
    print_table(console, made)


def _print_by_value(console: Console, letters: Sequence[str], lines: Lines) -> None:
    """Who has which value, for a console that is too narrow to show the runs side by side."""
    for label, texts in lines.items():
        who: dict[str, list[str]] = {}
        for letter, text in zip(letters, texts, strict=True):
            who.setdefault(text, []).append(letter)
        print_line(console, label)
        for text, having in who.items():
            print_line(console, f"  {' '.join(having)}: {text}")


def _number(name: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    measure = name.partition("/")[0]  # an experiment's has what it is of behind it
    is_share = measure.endswith(("accuracy", "error")) and math.isfinite(value)
    return percent(value) if is_share else exact_objective(name, value)


def _link(compared: Comparison, pages: str) -> str:
    from medarts_ops.tracking.reading.links import compared_runs_link

    experiments = list(dict.fromkeys(run.run.experiment_id for run in compared.runs))
    return compared_runs_link(pages, experiments, [run.run.run_id for run in compared.runs])


def _csv_row(compared: ComparedRun) -> dict[str, Any]:
    run = compared.run
    metrics = {**compared.objectives, **run.metrics}
    return {
        **run_json(run),
        "search_run_id": compared.search_run_id,
        "hours": compared.hours,
        "genotype": None if compared.genotype is None else format_darts(compared.genotype),
        "problems": "; ".join(compared.problems) or None,
        **{f"params.{key}": run.params[key] for key in sorted(run.params)},
        **{f"metrics.{key}": metrics[key] for key in sorted(metrics)},
    }
