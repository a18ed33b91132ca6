"""`medarts predict`: images classified by an exported network."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from medarts_ops.cli.image_arguments import images_given
from medarts_ops.cli.loading import say
from medarts_ops.cli.options import check_one_format, json_option
from medarts_ops.cli.output import (
    csv_cell,
    print_facts,
    print_json,
    print_table,
    progress_console,
    results_console,
    table,
)
from medarts_ops.cli.progress import ProgressBoard
from medarts_ops.cli.visible import VisibleConsole, echo
from medarts_ops.errors import DataError, ExportError, os_errors_as
from medarts_ops.quantities import counted, duration, percent
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.export.predict import Classified

SHOWN_CLASSES = 10
STDOUT = "-"
SECONDS_BETWEEN_LINES = 10.0
"""Of progress without a terminal."""


@click.command(short_help="Classify images with an exported network.")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes for each image.")
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    help="Write a line for each image into a .csv file as soon as it is classified; - for stdout.",
)
@click.option(
    "--trusted",
    is_flag=True,
    help="MODEL is your own: load a .pt2, which can run whatever its maker put into it, or one beyond the limits.",
)
@json_option
def command(
    *, model: Path, images: tuple[str, ...], top: int, csv_file: str | None, trusted: bool, as_json: bool
) -> None:
    """Classify IMAGES with MODEL, a file that `medarts export` wrote.

    IMAGES are files, folders with all that is below them, and patterns such as 'photos/**/*.jpg', any number of them.
    Images of any size are made grey or coloured and resized as the network's training images were. What can't be read
    is named and counted, and the exit code is 1; all others are classified.

    \b
    Examples:
      medarts predict birds.onnx robin.jpg
      medarts predict birds.onnx photos --csv classes.csv
      medarts predict birds.safetensors photos/*.jpg --top 1 --json
      medarts predict mine.pt2 --trusted robin.jpg
    """
    _check_output(csv_file, as_json)
    if "" in images:  # of a shell's empty variable; as a path it would be the current folder
        raise click.UsageError("IMAGES has an empty name: allowed are files, folders and patterns")
    say(f"loading {str(model)!r}")  # imports torch first, which takes seconds
    from medarts_ops.export.predict import Classified, classify_each, in_words, load_network

    network = load_network(model, trusted=trusted)
    given = images_given(images)
    for remark in given.remarks:
        echo(remark, err=True)
    top = min(top, len(network.description.class_names))
    missing = [Classified(path, (), reason) for path, reason in given.missing]
    total = len(missing) + len(given.paths)
    unreadable: list[Classified] = []
    rows_are_progress = csv_file == STDOUT and sys.stdout.isatty()
    answers = _told(chain(missing, classify_each(network, given.paths, top=top)), total, unreadable, rows_are_progress)
    if csv_file is not None:
        _write_csv(answers, csv_file, top)
    elif as_json:
        print_json([_as_json(answer) for answer in answers])
    else:
        _print_table(list(answers))
    if unreadable:
        raise DataError(in_words(unreadable, total))


def _check_output(csv_file: str | None, as_json: bool) -> None:
    check_one_format(csv_file is not None, as_json)
    if (
        csv_file not in (None, STDOUT) and Path(csv_file).suffix.lower() != ".csv"
    ):  # a photo, after --csv without a file
        raise click.UsageError(f"--csv is {csv_file!r}: allowed is a file whose name ends with .csv, or - for stdout")


def _told(
    answers: Iterable[Classified], total: int, unreadable: list[Classified], quietly: bool
) -> Iterator[Classified]:
    """The answers, one by one, with the time left on stderr; notes those that are `unreadable`."""
    began = last = time.monotonic()
    with ProgressBoard(VisibleConsole(stderr=True, quiet=True) if quietly else progress_console()) as board:
        for done, answer in enumerate(answers, start=1):
            if answer.error:
                unreadable.append(answer)
            now = time.monotonic()
            if board.is_terminal or now - last >= SECONDS_BETWEEN_LINES:
                last = now
                bad = f", {len(unreadable):,} unreadable" if unreadable else ""
                board.show("images", done, total, f"{duration((now - began) / done * (total - done))} left{bad}")
            yield answer


def _write_csv(answers: Iterable[Classified], target: str, top: int) -> None:
    """Write answers as they come; a file that is there is replaced, and stdout told what was written into it."""
    if target == STDOUT:
        _write_rows(answers, sys.stdout, top)
        return
    with (
        os_errors_as(ExportError, f"{target!r} can't be written", "free some space or name another folder"),
        open(target, "w", encoding="utf-8", errors="backslashreplace", newline="", buffering=1) as file,
    ):
        classes = _write_rows(answers, file, top)
    found = ", ".join(f"{visible(name)} ({number:,})" for name, number in classes.most_common(SHOWN_CLASSES))
    facts = [("file", target), ("classified", counted(classes.total(), "image")), ("classes", found or "none")]
    print_facts(results_console(), facts)


def _write_rows(answers: Iterable[Classified], stream: TextIO, top: int) -> Counter[str]:
    """A line for each image; gives how many images are of each class."""
    writer = csv.writer(stream, lineterminator="\n")
    places = ["" if place == 1 else f"_{place}" for place in range(1, top + 1)]
    writer.writerow(["image", *(f"{name}{place}" for place in places for name in ("class", "probability")), "error"])
    classes: Counter[str] = Counter()
    for answer in answers:
        classes.update(guess.class_name for guess in answer.guesses[:1])
        cells = [cell for guess in answer.guesses for cell in (guess.class_name, guess.probability)] or [""] * 2 * top
        writer.writerow(map(csv_cell, [str(answer.path), *cells, answer.error]))
    return classes


def _as_json(answer: Classified) -> dict[str, Any]:
    if answer.error:
        return {"image": str(answer.path), "classes": [], "error": answer.error}
    classes = [{"name": guess.class_name, "probability": guess.probability} for guess in answer.guesses]
    return {"image": str(answer.path), "classes": classes}


def _print_table(answers: Sequence[Classified]) -> None:
    made = table("image", "class", "probability", numbers=["probability"], folding=["image"])
    for answer in answers:
        if answer.error:
            made.add_row(str(answer.path), "can't be read", "")
            continue
        for place, guess in enumerate(answer.guesses):
            made.add_row(str(answer.path) if place == 0 else "", guess.class_name, percent(guess.probability))
    print_table(results_console(), made)
