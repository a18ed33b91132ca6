"""`medarts resume`: a search that was stopped or killed, to its end."""

from __future__ import annotations

from pathlib import Path

import click

from medarts_ops.cli.options import json_option, named_store, storage_option, tracking_uri_option, work_dir_option
from medarts_ops.cli.output import print_json, print_search, progress_console, results_console, search_json
from medarts_ops.cli.progress import ProgressBoard, SearchProgress
from medarts_ops.cli.search import tell_what_waits


@click.command(short_help="Go on with a search that was stopped or killed.")
@click.argument("search")
@tracking_uri_option
@storage_option
@work_dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, search: str, tracking_uri: str | None, storage: str | None, work_dir: Path, as_json: bool
) -> None:
    """Go on with SEARCH, a search's name, or the id of its run or of a run below it.

    It goes on in its own runs, with its own settings, after the last whole epoch of each individual in training. On a
    CPU the result is that of a search that was never stopped.

    \b
    Examples:
      medarts resume search-cifar10-20260101-120000-ab12
      medarts resume 4f3c0de1
    """
    from medarts_ops.tracking.resumed import resumed_search

    with ProgressBoard(progress_console()) as board:
        found = resumed_search(
            search,
            tracking_uri=tracking_uri,
            storage=storage,
            work_dir=work_dir,
            observers=(SearchProgress(board),),
        )
    tell_what_waits(ctx, found)
    if as_json:
        print_json(search_json(found))
    else:
        print_search(results_console(), found, named_store(ctx))
