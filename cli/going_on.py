"""The command that goes on with a job whose process ends too early, or that another process began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from medarts_ops.cli.output import command_line
from medarts_ops.quantities import counted

_RESUME_LINE = "medarts_ops.cli.going_on"

_OPTIONS = {"--tracking-uri": "tracking_uri", "--storage": "storage", "--work-dir": "work_dir"}


@contextmanager
def resumable(ctx: click.Context, work_dir: Path, name: str) -> Iterator[None]:
    """While this lasts, whatever ends the command leaves the line that resumes the job `name`, if there is such."""
    from medarts_ops.tracking.reading.jobs import is_unfinished

    try:
        yield
    except BaseException:
        if is_unfinished(work_dir, name):
            ctx.meta[_RESUME_LINE] = job_line(ctx, "resume", name)
        raise


def resume_line(ctx: click.Context) -> str | None:
    """The command that goes on with the job that ended; None where there is none."""
    line: str | None = ctx.meta.get(_RESUME_LINE)
    return line


def job_line(ctx: click.Context, verb: str, name: str) -> str:
    """A command for a job that finds it: with the options that were given; the environment's are found again."""
    options = [
        word
        for option, parameter in _OPTIONS.items()
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE
        for word in (option, str(ctx.params[parameter]))
    ]
    return command_line(verb, name, *options)


def tell_what_waits(ctx: click.Context, verb: str, name: str, waiting: int) -> None:
    """Where a store was away to the end, say what is in the work directory only, and what brings it over."""
    if waiting:
        line = job_line(ctx, verb, name)
        click.echo(
            f"{counted(waiting, 'event')} wait in the work directory: a store is away; once it is back, run: {line}",
            err=True,
        )
