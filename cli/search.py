"""`medarts search`: the paper's main job."""

from __future__ import annotations

from pathlib import Path

import click

from medarts_ops.cli.options import (
    config_options,
    config_request,
    json_option,
    named_store,
    storage_option,
    tracking_uri_option,
    work_dir_option,
)
from medarts_ops.cli.output import print_json, print_search, progress_console, results_console, search_json
from medarts_ops.cli.progress import ProgressBoard, SearchProgress
from medarts_ops.configs.loader import resolve_search


@click.command(short_help="Find an architecture.")
@config_options
@click.option("--name", metavar="NAME", help="The search run's name.  [default: search-<dataset>-<time>]")
@tracking_uri_option
@storage_option
@work_dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    name: str | None,
    tracking_uri: str | None,
    storage: str | None,
    work_dir: Path,
    as_json: bool,
) -> None:
    """Find an architecture by multi-stage evolution of DARTS supernets.

    Without options it searches on scikit-learn's digits, which needs no download and takes minutes on a CPU.
    Progress goes to stderr, the result to stdout: each stage's Pareto table, the genotype, the search cost and
    the run id that `medarts evaluate` takes.

    \b
    Examples:
      medarts search
      medarts search --dataset cifar10 --data ~/data
      medarts search --preset cifar10-paper --seed 3
      medarts search --dataset folder --data ~/flowers --resolution 32
      medarts search --set stages.0.epochs=2 --set runtime.workers=2
    """
    config = resolve_search(config_request(ctx)).config
    from medarts_ops.tracking.tracked import tracked_search

    with ProgressBoard(progress_console()) as board:
        found = tracked_search(
            config,
            name=name,
            tracking_uri=tracking_uri,
            storage=storage,
            work_dir=work_dir,
            observers=(SearchProgress(board),),
        )
    if as_json:
        print_json(search_json(found))
    else:
        print_search(results_console(), found, named_store(ctx))
