"""`medarts resume`: a search, an evaluation or an experiment that was stopped or killed, to its end."""

from __future__ import annotations

from functools import partial

import click

from medarts_ops.cli import completion
from medarts_ops.cli.jobs import JOB_COMMANDS
from medarts_ops.cli.loading import looking_for, progress_board, say
from medarts_ops.cli.next_command import resumable
from medarts_ops.cli.options import Places, json_option, places_options


@click.command(short_help="Go on with a job that was stopped or killed.")
@click.argument("job", metavar="RUN_ID|NAME", shell_complete=completion.runs)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of an evaluation: devices that go on with it.  [default: as it began]",
)
@places_options("tracking_uri", "storage", "work_dir", "pictures", "system_metrics")
@json_option
def command(places: Places, *, job: str, devices: int | None, as_json: bool) -> None:
    """Go on with a search, an evaluation or an experiment: by name, by the id of its run, or by a run below a search's.

    It goes on in its own runs, with its own settings, after the last whole epoch of what was in training. On a CPU the
    result is that of one that was never stopped. What an experiment finished is not trained again. A search whose work
    directory is gone goes on from the finished individuals that its run keeps.

    \b
    Examples:
      medarts resume search-cifar10-20260101-120000-ab12
      medarts resume 0123456789abcdef0123456789abcdef
      medarts resume mine --work-dir /data/medarts-work
      medarts resume evaluate-cifar10-20260101-120000-ab12 --devices 2
    """
    from medarts_ops.tracking.reading.jobs import find_job

    with looking_for(job):
        found = find_job(job, tracking_uri=places.tracking_uri, experiment=places.experiment, work_dir=places.work_dir)
    if devices is not None and found.kind != "evaluation":
        raise click.UsageError(
            f"--devices is for an evaluation, and {found.name} is of kind {found.kind}: leave it out"
        )
    commands = JOB_COMMANDS[found.kind]
    resume = commands.resume if devices is None else partial(commands.resume, devices=devices)
    say(f"going on with {found.kind} {found.name}")
    with resumable(places, found.name):
        with progress_board() as board:
            finished = resume(found, places, board)
        commands.show(finished, places, as_json)
