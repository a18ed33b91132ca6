"""`medarts resume`: a search or an evaluation that was stopped or killed, to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import click

from medarts_ops.cli.going_on import resumable, tell_what_waits
from medarts_ops.cli.options import (
    json_option,
    named_store,
    pictures_option,
    storage_option,
    tracking_uri_option,
    work_dir_option,
)
from medarts_ops.cli.output import (
    evaluation_json,
    print_evaluation,
    print_json,
    print_search,
    progress_console,
    results_console,
    search_json,
)
from medarts_ops.cli.pages import print_individuals_link
from medarts_ops.cli.progress import EvaluationProgress, ProgressBoard, SearchProgress


@click.command(short_help="Go on with a search or an evaluation that was stopped or killed.")
@click.argument("job", metavar="RUN_ID|NAME")
@tracking_uri_option
@storage_option
@work_dir_option
@pictures_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    job: str,
    tracking_uri: str | None,
    storage: str | None,
    work_dir: Path,
    pictures: bool,
    as_json: bool,
) -> None:
    """Go on with a search or an evaluation: by name, by the id of its run, or by that of a run below a search's.

    It goes on in its own runs, with its own settings, after the last whole epoch of what was in training. On a CPU
    the result is that of one that was never stopped. A search whose work directory is gone goes on from the finished
    individuals that its run keeps.

    \b
    Examples:
      medarts resume search-cifar10-20260101-120000-ab12
      medarts resume 0123456789abcdef0123456789abcdef
      medarts resume mine --work-dir /data/medarts-work
    """
    from medarts_ops.tracking.reading.jobs import find_job

    found = find_job(job, tracking_uri=tracking_uri, work_dir=work_dir)
    places = _Places(tracking_uri=tracking_uri, work_dir=work_dir, pictures=pictures)
    with resumable(ctx, work_dir, found.name):
        if found.kind == "search":
            _search(ctx, job, storage, places, as_json)
        else:
            _evaluation(ctx, job, places, as_json)


class _Places(TypedDict):
    """What resuming takes of the options, whatever it resumes."""

    tracking_uri: str | None
    work_dir: Path
    pictures: bool


def _search(ctx: click.Context, job: str, storage: str | None, places: _Places, as_json: bool) -> None:
    from medarts_ops.tracking.resume import resumed_search

    with ProgressBoard(progress_console()) as board:
        found = resumed_search(job, storage=storage, observers=(SearchProgress(board),), **places)
    tell_what_waits(ctx, "sync", found.result.search_id, found.waiting)
    if as_json:
        print_json(search_json(found))
    else:
        console = results_console()
        print_search(console, found, named_store(ctx))
        print_individuals_link(console, found, places["tracking_uri"], named_store(ctx))


def _evaluation(ctx: click.Context, job: str, places: _Places, as_json: bool) -> None:
    from medarts_ops.tracking.evaluation import resumed_evaluation

    with ProgressBoard(progress_console()) as board:
        trained = resumed_evaluation(job, observers=(EvaluationProgress(board),), **places)
    tell_what_waits(ctx, "resume", trained.name, trained.waiting)
    if as_json:
        print_json(evaluation_json(trained))
    else:
        print_evaluation(results_console(), trained, named_store(ctx))
