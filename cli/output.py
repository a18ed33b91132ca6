"""Results on stdout: tables that are read without a terminal, too, or pure JSON."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.tree import Tree

from medarts_ops.cli.collapse import print_collapse
from medarts_ops.cli.visible import VisibleConsole
from medarts_ops.individual import RankedIndividual, SearchResult, StageResult
from medarts_ops.objectives.ranking_warnings import ranking_warnings
from medarts_ops.objectives.shown import exact_objective, objective
from medarts_ops.quantities import SECONDS_PER_DAY, distance, duration
from medarts_ops.space.collapse import collapse_warning
from medarts_ops.space.formats import format_darts
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.tracking.search import TrackedSearch
    from medarts_ops.tracking.stores.stored_run import StoredRun

PIPE_WIDTH = 1000
"""Columns without a terminal: wide enough that nothing is broken or cut."""


def results_console() -> Console:
    """Where results go: stdout, at the terminal's width, or unbroken into a pipe or file."""
    return VisibleConsole(width=None if sys.stdout.isatty() else PIPE_WIDTH, soft_wrap=True)


def progress_console() -> Console:
    """Where progress goes: stderr, or nowhere under `medarts --quiet`."""
    ctx = click.get_current_context(silent=True)
    quiet = ctx is not None and bool(ctx.find_root().params.get("quiet"))
    return VisibleConsole(stderr=True, quiet=quiet)


def print_json(value: Any) -> None:
    """Writes `value` as JSON in ASCII, which no terminal obeys. NaN and infinity are refused: they are no JSON."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows as CSV under these columns; None and NaN are empty fields.

    Text is made visible, and what a spreadsheet would run as a formula begins with an apostrophe.
    """
    import pandas as pd

    # As objects: in a column of numbers one missing value would make 3 to 3.0.
    cells = [[csv_cell(row.get(column)) for column in columns] for row in rows]
    frame = pd.DataFrame(cells, columns=[csv_cell(column) for column in columns], dtype=object)
    click.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)


def table(*columns: str, numbers: Sequence[str] = (), folding: Sequence[str] = ()) -> Table:
    """A table without lines; `numbers` are the columns that line up on the right, `folding` those that may fold."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        side: Literal["left", "right"] = "right" if column in numbers else "left"
        made.add_column(column, overflow="fold", justify=side, no_wrap=column not in folding)
    return made


def print_table(console: Console, made: Table) -> None:
    """Writes a table. A terminal too narrow for it breaks whole lines: no name or number is torn or cut."""
    for column in made.columns:
        column._cells = [visible(str(cell)) for cell in column.cells]  # rich offers no other way to a finished row
        if column.no_wrap:
            headings = str(column.header).split("\n")
            column.min_width = max(cell_len(str(text)) for text in (*headings, *column.cells))
    _print_uncut(console, made)


def print_tree(console: Console, made: Tree) -> None:
    """Writes a tree; the terminal breaks lines that are too long for it."""
    _label_visibly(made)
    _print_uncut(console, made)


def print_line(console: Console, text: str) -> None:
    """Writes one line, whatever line breaks are in what it says."""
    console.print(visible(text))


def print_facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """Writes (label, value) pairs, the values one below the other."""
    longest = max(len(label) for label, _ in facts)
    for label, value in facts:
        print_line(console, f"{label:<{longest}}  {value}")


def command_line(*words: str, tracking_uri: str | None = None) -> str:
    """A command to copy; the store is named only where the next call would not find it by itself."""
    return shlex.join(["medarts", *words, *([] if tracking_uri is None else ["--tracking-uri", tracking_uri])])


def stage_table(stage: StageResult) -> Table:
    """A stage's individuals, best first: origin, parents, objectives, front, crowding distance, skip-connects."""
    names = list(stage.ranked[0].evaluated.objectives) if stage.ranked else []
    numbers = [*names, "front", "crowding", "skips"]
    made = table("individual", "origin", "parents", *numbers, numbers=numbers, folding=["parents"])
    for ranked in stage.ranked:
        individual = ranked.trained.individual
        values = [objective(name, ranked.evaluated.objectives[name]) for name in names]
        made.add_row(
            ranked.id,
            individual.origin,
            " ".join(individual.parents) or "-",
            *values,
            str(ranked.front),
            distance(ranked.crowding_distance),
            _skips(ranked),
        )
    return made


def print_search(console: Console, found: TrackedSearch, tracking_uri: str | None) -> None:
    """A finished search: each stage's Pareto table, the genotype, cost, run id and what to do next.

    `tracking_uri` is the store, if commands have to name it.
    """
    result = found.result
    for stage in result.stages:
        console.print(
            f"Stage {stage.name}: {len(stage.ranked)} ranked, {_pruned(stage)}{len(stage.failed)} failed; "
            "front 0 is the Pareto front"
        )
        print_table(console, stage_table(stage))
        for pruned in stage.pruned:
            console.print(f"{pruned.individual.id} pruned: {pruned.reason}")
        for failed in stage.failed:
            console.print(f"{failed.individual.id} failed: {failed.reason}")
        for warning in ranking_warnings(stage):
            console.print(f"Warning: {warning}")
        console.print()
    best = result.best
    found_line = f"Found {best.id}: {result.why}"
    console.print(f"{found_line}\n{format_darts(best.trained.genotype)}\n")
    objectives = [(name, exact_objective(name, value)) for name, value in best.evaluated.objectives.items()]
    skips = f"{_skips(best)} (normal/reduction cell)"
    print_facts(console, [*objectives, ("skips", skips), ("search cost", _cost(result)), ("run id", found.run_id)])
    print_collapse(console, best.trained.genotype)
    print_next(console, ["evaluate", found.run_id], ["report", found.run_id], ["ui"], tracking_uri=tracking_uri)


def print_next(console: Console, *commands: Sequence[str], tracking_uri: str | None) -> None:
    """An empty line, and the commands that make sense now, to copy."""
    print_next_lines(console, [command_line(*words, tracking_uri=tracking_uri) for words in commands])


def print_next_lines(console: Console, lines: Sequence[str]) -> None:
    """The same of commands that are lines already."""
    console.print("\nNext:")
    for line in lines:
        print_line(console, f"  {line}")


def search_json(found: TrackedSearch) -> dict[str, Any]:
    """A finished search as plain data; an infinite crowding distance is the string "Infinity".

    `waiting` events are in the journal alone, and individuals that the store does not know have no run id.
    """
    from medarts_ops.tracking.artifacts.shapes import pruned_rows

    result = found.result
    return {
        "run_id": found.run_id,
        "experiment_id": found.experiment_id,
        "search_id": result.search_id,
        "waiting": found.waiting,
        "seconds": result.seconds,
        "rule": result.rule,
        "cuts": result.cuts,
        "best": _ranked_json(result.best, found.run_ids.get(result.best.id)),
        "collapse_warning": collapse_warning(result.best.trained.genotype),
        "stages": [
            {
                "name": stage.name,
                "seconds": stage.seconds,
                "warnings": ranking_warnings(stage),
                "ranked": [_ranked_json(ranked, found.run_ids.get(ranked.id)) for ranked in stage.ranked],
                "failed": [
                    {"individual": failed.individual.id, "reason": failed.reason, "epoch": failed.epoch}
                    for failed in stage.failed
                ],
                "pruned": pruned_rows(stage, found.run_ids.get),
            }
            for stage in result.stages
        ],
    }


def run_json(run: StoredRun) -> dict[str, Any]:
    """What every run has, as plain data."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "kind": run.kind,
        "status": run.status,
        "experiment_id": run.experiment_id,
        "started": run.started.isoformat(timespec="seconds"),
        "ended": None if run.ended is None else run.ended.isoformat(timespec="seconds"),
    }


def _ranked_json(ranked: RankedIndividual, run_id: str | None) -> dict[str, Any]:
    individual = ranked.trained.individual
    return {
        "individual": ranked.id,
        "run_id": run_id,
        "origin": individual.origin,
        "parents": individual.parents,
        "objectives": {name: _json_number(value) for name, value in ranked.evaluated.objectives.items()},
        "front": ranked.front,
        "crowding_distance": _json_number(ranked.crowding_distance),
        "genotype": ranked.trained.genotype.model_dump(mode="json"),
        "skips_set_aside": ranked.trained.skips_set_aside,
        "taken_from": ranked.trained.taken_from,
    }


def _json_number(value: float) -> float | str:
    """JSON has no infinity: it travels as the word that our values use, too."""
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(str(value), value)


def csv_cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return f"'{visible(value)}" if value.startswith(("=", "+", "-", "@")) and not _is_number(value) else visible(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _label_visibly(tree: Tree) -> None:
    tree.label = visible(str(tree.label))
    for below in tree.children:
        _label_visibly(below)


def _print_uncut(console: Console, made: Table | Tree) -> None:
    # Rich cuts what is wider than the console, and says nothing. It may fold columns of a table that let it.
    measured = Measurement.get(console, console.options.update(width=PIPE_WIDTH), made)
    width = console.width
    console.width = max(width, measured.maximum if isinstance(made, Tree) else measured.minimum)
    console.print(made)
    console.width = width


def _pruned(stage: StageResult) -> str:
    return f"{len(stage.pruned)} pruned, " if stage.pruned else ""


def _skips(ranked: RankedIndividual) -> str:
    return "/".join(str(ranked.trained.genotype.skip_count(cell)) for cell in ("normal", "reduce"))


def _cost(result: SearchResult) -> str:
    stages = ", ".join(f"{stage.name} {duration(stage.seconds)}" for stage in result.stages)
    days = result.seconds / SECONDS_PER_DAY
    in_days = f" ({days:.2g} days)" if days >= 0.1 else ""  # the paper's unit, from where it says something
    return f"{duration(result.seconds)}{in_days}: {stages}"
