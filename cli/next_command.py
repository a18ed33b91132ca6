"""The command to call next for a job whose process ended too early, or whose store was away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from medarts_ops.cli.options import Places
from medarts_ops.cli.output import command_line
from medarts_ops.cli.visible import echo
from medarts_ops.errors import TrainingDiverged
from medarts_ops.quantities import counted

_RESUME_LINE = "medarts_ops.cli.next_command"
_GIVEN = "medarts_ops.cli.next_command.given"

ONCE = ("--name",)
"""Options of which a command that is given again must have others."""


@contextmanager
def resumable(places: Places, name: str) -> Iterator[None]:
    """While this lasts, whatever ends the command leaves the line that goes on with the job `name`, if there is such.

    A finished job, of which a signal kept the end from being told, is synced rather than resumed.
    """
    from medarts_ops.journal.lock import is_at_work
    from medarts_ops.tracking.reading.jobs import is_finished, is_unfinished

    try:
        yield
    except TrainingDiverged:  # it would do so again, and says which settings to change
        raise
    except BaseException as error:
        meta = click.get_current_context().meta
        if is_unfinished(places.work_dir, name) and not is_at_work(places.work_dir / name):
            meta[_RESUME_LINE] = job_line(places, "resume", name)
        elif isinstance(error, KeyboardInterrupt) and is_finished(places.work_dir, name):
            meta[_RESUME_LINE] = job_line(places, "sync", name)
        raise


def resume_line(ctx: click.Context) -> str | None:
    """The command that goes on with the job that ended; None where there is none."""
    line: str | None = ctx.meta.get(_RESUME_LINE)
    return line


def job_line(places: Places, verb: str, name: str) -> str:
    """A command for a job that finds it: with the options that were given; the environment's are found again."""
    words = [verb, name]
    for field in ("tracking_uri", "experiment", "storage", "work_dir"):
        words += [f"--{field.replace('_', '-')}", places.shown(field)] if field in places.given else []
    return command_line(*words)


def note_given(ctx: click.Context, words: Sequence[str]) -> None:
    """Remember the words of this very command."""
    ctx.meta[_GIVEN] = tuple(words)


def given_line() -> str:
    """The command that is at work, to be given again: without passwords, and without the name, which is taken."""
    from medarts_ops.tracking.stores.databases import without_password

    words: tuple[str, ...] = click.get_current_context().meta.get(_GIVEN, ())
    kept = [
        word
        for before, word in zip(("", *words), words, strict=False)
        if word not in ONCE and before not in ONCE and word.partition("=")[0] not in ONCE
    ]
    return command_line(*map(without_password, kept))


def tell_what_waits(places: Places, name: str, waiting: int) -> None:
    """Where a store was away to the end, say what is in the work directory only, and what brings it over."""
    if waiting:
        line = job_line(places, "sync", name)
        echo(
            f"{counted(waiting, 'event')} wait in the work directory: a store is away; once it is back, run: {line}",
            err=True,
        )
