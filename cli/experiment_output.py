"""What came of an experiment, on stdout: its table with all that a reader needs beside it, or plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console

from medarts_ops.cli.next_command import tell_what_waits
from medarts_ops.cli.options import Places
from medarts_ops.cli.output import (
    print_csv,
    print_facts,
    print_json,
    print_next,
    print_table,
    results_console,
    table,
)
from medarts_ops.cli.visible import visible
from medarts_ops.experiment import FinishedTraining, Training, TrainingOutcome
from medarts_ops.summary import Summary
from medarts_ops.summary_text import EMPTY, cells_text, heading, with_method

if TYPE_CHECKING:
    from medarts_ops.tracking.experiment import TrackedExperiment

GAP = 2
"""Columns between those of a table."""

NARROWEST = 10
"""Columns that a heading is folded to at the least."""


def show_experiment(tracked: TrackedExperiment, places: Places, as_json: bool, as_csv: bool = False) -> None:
    """A finished experiment on stdout."""
    from medarts_ops.experiments.summarize import cells_flat
    from medarts_ops.tracking.artifacts.files import without_nan

    tell_what_waits(places, tracked.result.name, tracked.waiting)
    summary = tracked.summary
    if as_csv:
        rows = cells_flat(summary)
        print_csv(rows, list(dict.fromkeys(key for row in rows for key in row)))
    elif as_json:
        print_json(without_nan(experiment_json(tracked)))
    else:
        console = results_console()
        print_summary(console, summary)
        console.print()
        print_facts(console, [("name", summary.name), ("run id", tracked.run_id)])
        run_id = tracked.run_id
        print_next(console, ["show", run_id], ["report", run_id], ["ui"], tracking_uri=places.named_store)


def experiment_json(tracked: TrackedExperiment) -> dict[str, Any]:
    """A finished experiment as plain data; numbers that are not defined are NaN.

    `trainings` are in the order in which they are done, with the run that each is, or was taken from.
    """
    outcomes = {outcome.key: outcome for outcome in tracked.result.outcomes}
    return {
        "run_id": tracked.run_id,
        "experiment_id": tracked.experiment_id,
        "waiting": tracked.waiting,
        **summary_json(tracked.summary),
        "trainings": [
            _training_json(training, outcomes.get(training.key), tracked.run_ids.get(training.key))
            for training in tracked.result.plan.trainings
        ],
    }


def summary_json(summary: Summary) -> dict[str, Any]:
    """What an experiment says as plain data, but its figure; `rows` are flat: an estimate is a value for each part."""
    from medarts_ops.experiments.summarize import cells_flat

    return {
        "name": summary.name,
        "kind": summary.kind,
        "scale": summary.scale,
        "title": summary.title,
        "caption": summary.caption,
        "columns": [asdict(column) for column in summary.columns],
        "rows": list(cells_flat(summary)),
        "statistics": [asdict(statistic) for statistic in summary.statistics],
        "failures": list(summary.failures),
        "notes": list(summary.notes),
    }


def print_summary(console: Console, summary: Summary) -> None:
    """Writes a summary: title, table, statistics, caption, notes and what failed.

    A table that is too wide is told row by row where folding its headings is not enough.
    """
    _print_words(console, summary.title)
    _print_rows(console, summary)
    if summary.statistics:
        console.print()
    for statistic in summary.statistics:
        _print_words(console, with_method(statistic))
    console.print()
    for sentence in (summary.caption, *summary.notes):
        _print_words(console, sentence)
    for failure in summary.failures:
        _print_words(console, f"failed: {failure}")


def _print_rows(console: Console, summary: Summary) -> None:
    headings = [heading(column) for column in summary.columns]
    rows = cells_text(summary)
    widths = [max((cell_len(visible(row[place])) for row in rows), default=0) for place in range(len(headings))]
    if _too_wide(console, headings, widths):
        headings = [_folded(text, max(NARROWEST, width)) for text, width in zip(headings, widths, strict=True)]
    if _too_wide(console, headings, widths):
        _print_row_by_row(console, summary, rows)
        return
    numbers = [text for text, column in zip(headings, summary.columns, strict=True) if column.form != "text"]
    made = table(*headings, numbers=numbers)
    for row in rows:
        made.add_row(*row)
    print_table(console, made)


def _print_row_by_row(console: Console, summary: Summary, rows: Sequence[Sequence[str]]) -> None:
    headings = [heading(column) for column in summary.columns[1:]]
    for first, *others in rows:
        _print_words(console, first)
        for label, text in zip(headings, others, strict=True):
            if text != EMPTY:
                _print_words(console, f"  {label}: {text}")


def _too_wide(console: Console, headings: Sequence[str], widths: Sequence[int]) -> bool:
    shown = [max(width, *map(cell_len, text.split("\n"))) for text, width in zip(headings, widths, strict=True)]
    return sum(shown) + GAP * (len(shown) - 1) > console.width


def _folded(heading_text: str, width: int) -> str:
    """The heading in lines of at most that many columns, as far as its words allow."""
    lines = [""]
    for word in heading_text.split(" "):
        joined = f"{lines[-1]} {word}".lstrip()
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return "\n".join(filter(None, lines))


def _print_words(console: Console, text: str) -> None:
    """Writes a text that a terminal breaks between words."""
    console.print(visible(text), soft_wrap=False)


def _training_json(training: Training, outcome: TrainingOutcome | None, run_id: str | None) -> dict[str, Any]:
    told = {
        "key": training.key,
        "kind": training.kind,
        "arm": training.arm.name,
        "subject": training.arm.subject,
        "condition": training.arm.condition,
        "seed": training.seed,
        "run_id": run_id,
    }
    if outcome is None:
        return {**told, "state": "missing"}
    if isinstance(outcome, FinishedTraining):
        more = outcome.model_dump(mode="json", exclude={"key"})
        return {**told, "state": "finished", **more}
    return {**told, "state": "failed", "reason": outcome.reason, "cause": outcome.cause}
