"""What came of an experiment, on stdout: its table with all that a reader needs beside it, or plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

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
from medarts_ops.errors import SearchError
from medarts_ops.experiment import FinishedTraining, Training, TrainingOutcome
from medarts_ops.quantities import counted
from medarts_ops.summary import Summary
from medarts_ops.summary_text import EMPTY, cells_text, heading, statistics_lines
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.tracking.experiment import TrackedExperiment

GAP = 2
"""Columns between those of a table."""

NARROWEST = 10
"""Columns that a heading is folded to at the least."""

MOST_BLOCKS = 2
"""Tables that one is parted into; a terminal still narrower is told row by row."""


def show_experiment(tracked: TrackedExperiment, places: Places, as_json: bool, as_csv: bool = False) -> None:
    """A finished experiment on stdout; a SearchError behind it where all of its trainings failed."""
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
    outcomes = tracked.result.outcomes
    if len(tracked.result.failed) == len(outcomes):
        raise SearchError(f"nothing was measured: all {counted(len(outcomes), 'training')} failed, as told above")


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

    Headings and text of a table that is too wide are folded; then it is parted, published figures from those measured
    here; or else it is told row by row.
    """
    _print_words(console, summary.title)
    _print_rows(console, summary)
    if summary.statistics:
        console.print()
    for line in statistics_lines(summary):
        _print_words(console, line)
    console.print()
    for sentence in (summary.caption, *summary.notes):
        _print_words(console, sentence)
    for failure in summary.failures:
        _print_words(console, f"failed: {failure}")


class _Shown(NamedTuple):
    """A column as it is printed: `wide` in one line, or folded in as few as its words and numbers allow."""

    heading: str
    texts: tuple[str, ...]
    is_text: bool
    is_published: bool

    @property
    def wide(self) -> int:
        return max(map(cell_len, (self.heading, *self.texts)))

    @property
    def folded_heading(self) -> str:
        return _folded(self.heading, max(NARROWEST, self._texts_width))

    @property
    def narrow(self) -> int:
        return max(self._texts_width, *map(cell_len, self.folded_heading.split("\n")))

    @property
    def is_empty(self) -> bool:
        return all(text == EMPTY for text in self.texts)

    @property
    def _texts_width(self) -> int:
        pieces = [word for text in self.texts for word in text.split(" ")] if self.is_text else self.texts
        return max(map(cell_len, pieces), default=0)


def _print_rows(console: Console, summary: Summary) -> None:
    rows = [[visible(text) for text in row] for row in cells_text(summary)]
    first, *others = (
        _Shown(heading(column), tuple(row[place] for row in rows), column.form == "text", column.origin == "published")
        for place, column in enumerate(summary.columns)
    )
    if _width([first.wide, *(column.wide for column in others)]) <= console.width:
        _print_block(console, [first, *others], is_wide=True)
        return
    filled = [column for column in others if not column.is_empty]
    blocks = _blocks(console, first, filled)
    if len(blocks) > MOST_BLOCKS or any(_width([first.wide, column.narrow]) > console.width for column in filled):
        _print_row_by_row(console, [first, *filled])
        return
    for number, block in enumerate(blocks):
        console.print("\n" * (number > 0), end="")
        _print_block(console, [first, *block], is_wide=False, elsewhere=[each for each in filled if each not in block])


def _blocks(console: Console, first: _Shown, others: Sequence[_Shown]) -> list[list[_Shown]]:
    """The columns in as many tables as the width asks for, what is published apart from what was measured here."""
    everything = [first.wide, *(column.narrow for column in others)]
    if _width(everything) <= console.width:
        return [list(others)]
    blocks: list[list[_Shown]] = []
    for column in sorted(others, key=lambda each: each.is_published):
        last = blocks[-1] if blocks else []
        fits = _width([first.wide, *(each.narrow for each in (*last, column))]) <= console.width
        if last and fits and last[-1].is_published == column.is_published:
            last.append(column)
        else:
            blocks.append([column])
    return blocks


def _print_block(
    console: Console, columns: Sequence[_Shown], *, is_wide: bool, elsewhere: Sequence[_Shown] = ()
) -> None:
    """A table of these columns, without the rows whose numbers stand in columns `elsewhere` alone."""
    headings = [column.heading if is_wide else column.folded_heading for column in columns]
    numbers = [text for text, column in zip(headings, columns, strict=True) if not column.is_text]
    folding = [text for text, column in zip(headings[1:], columns[1:], strict=True) if column.is_text and not is_wide]
    made = table(*headings, numbers=numbers, folding=folding)
    for place in range(len(columns[0].texts)):
        if _has_number(columns, place) or not _has_number(elsewhere, place):
            made.add_row(*(column.texts[place] for column in columns))
    print_table(console, made)


def _has_number(columns: Sequence[_Shown], place: int) -> bool:
    """Whether one of the columns has a number in the row at that place."""
    return any(column.texts[place] != EMPTY for column in columns if not column.is_text)


def _print_row_by_row(console: Console, columns: Sequence[_Shown]) -> None:
    for first, *others in zip(*(column.texts for column in columns), strict=True):
        _print_words(console, first)
        for column, text in zip(columns[1:], others, strict=True):
            if text != EMPTY:
                _print_words(console, f"  {column.heading}: {text}")


def _width(columns: Sequence[int]) -> int:
    return sum(columns) + GAP * (len(columns) - 1)


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
