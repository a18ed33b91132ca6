"""`medarts search`: the paper's main job."""

from __future__ import annotations

from pathlib import Path

import click

from medarts_ops.cli.going_on import resumable, tell_what_waits
from medarts_ops.cli.options import (
    config_options,
    config_request,
    json_option,
    named_store,
    pictures_option,
    side_by_side_options,
    storage_option,
    tracking_uri_option,
    work_dir_option,
)
from medarts_ops.cli.output import (
    print_json,
    print_search,
    progress_console,
    results_console,
    search_json,
)
from medarts_ops.cli.pages import print_individuals_link
from medarts_ops.cli.progress import ProgressBoard, SearchProgress
from medarts_ops.config import SearchConfig
from medarts_ops.configs.loader import resolve_search
from medarts_ops.configs.presets import read_settings_file
from medarts_ops.journal.folder import fresh_name

PLANNED_STEPS = 3
"""Timed steps of each stage of a dry run."""


@click.command(short_help="Find an architecture.")
@config_options
@side_by_side_options
@click.option("--name", metavar="NAME", help="The search run's name.  [default: search-<dataset>-<time>]")
@click.option("--dry-run", is_flag=True, help="Print what the search would train and cost, from a few timed steps.")
@tracking_uri_option
@storage_option
@work_dir_option
@pictures_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    name: str | None,
    dry_run: bool,
    tracking_uri: str | None,
    storage: str | None,
    work_dir: Path,
    pictures: bool,
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
      medarts search --set stages.0.epochs=2 --workers 2
      medarts search --dataset cifar10 --dry-run
    """
    config = resolve_search(config_request(ctx)).config
    if dry_run:
        plan(config, as_json)
        return
    from medarts_ops.tracking.search import tracked_search

    name = fresh_name("search", config.dataset.name) if name is None else name
    with resumable(ctx, work_dir, name), ProgressBoard(progress_console()) as board:
        found = tracked_search(
            config,
            name=name,
            tracking_uri=tracking_uri,
            storage=storage,
            work_dir=work_dir,
            pictures=pictures,
            observers=(SearchProgress(board),),
        )
    tell_what_waits(ctx, "sync", name, found.waiting)
    if as_json:
        print_json(search_json(found))
    else:
        console = results_console()
        print_search(console, found, named_store(ctx), _evaluation_settings(config_request(ctx).config_file))
        print_individuals_link(console, found, tracking_uri, named_store(ctx))


def _evaluation_settings(config_file: Path | None) -> Path | None:
    """The file if it has settings of an evaluation, too, which no search keeps."""
    held = config_file is not None and read_settings_file(config_file).section("evaluate")
    return config_file if held else None


def plan(config: SearchConfig, as_json: bool) -> None:
    """Print what a search would train and cost. Nothing is stored."""
    from medarts_ops.cli.bench import estimate_of
    from medarts_ops.cli.bench_tables import print_estimate
    from medarts_ops.resolving import resolve_search_config

    resolved, data = resolve_search_config(config)
    progress_console().print("timing a few steps of each stage")
    estimate = estimate_of(resolved, data, PLANNED_STEPS)
    disk = sum(stage.images.nbytes for stage in data.stages)
    if as_json:
        print_json({"estimate": estimate.model_dump(), "disk_bytes": disk, "config": resolved.model_dump(mode="json")})
        return
    console = results_console()
    print_estimate(console, resolved, estimate)
    console.print()
    console.print(f"on disk, in the work directory: {disk / 2**20:,.1f} MiB of images; nothing was stored")
