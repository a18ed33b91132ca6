"""`medarts search`: the paper's main job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medarts_ops.cli.jobs import show_search
from medarts_ops.cli.loading import progress_board, say, say_what_is_read
from medarts_ops.cli.next_command import resumable
from medarts_ops.cli.options import (
    Places,
    budget_option,
    config_options,
    config_request,
    json_option,
    places_options,
    search_options,
)
from medarts_ops.cli.output import print_json, print_line, results_console
from medarts_ops.cli.progress import SearchProgress, of_own_images
from medarts_ops.config import ResolvedSearchConfig, SearchConfig
from medarts_ops.configs.loader import Request, after_search, resolve_evaluate, resolve_search
from medarts_ops.configs.presets import read_settings_file
from medarts_ops.journal.folder import check_name_is_free_in, fresh_name
from medarts_ops.objectives.ranking_warnings import steps_warning
from medarts_ops.quantities import byte_size

if TYPE_CHECKING:
    from medarts_ops.data.search_data import SearchData


@click.command(short_help="Find an architecture.")
@config_options
@search_options
@click.option("--name", metavar="NAME", help="The search run's name.  [default: search-<dataset>-<time>]")
@budget_option
@click.option("--dry-run", is_flag=True, help="Print what the search would train and cost, from a few timed steps.")
@places_options("tracking_uri", "storage", "work_dir", "pictures", "system_metrics")
@json_option
@click.pass_context
def command(ctx: click.Context, places: Places, *, name: str | None, dry_run: bool, as_json: bool) -> None:
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
      medarts search --dataset cifar10 --budget 2h
    """
    began = time.monotonic()
    request = config_request(ctx)
    config = resolve_search(request).config
    evaluate = settings_of_evaluations(request, config)
    name = fresh_name("search", config.dataset.name) if name is None else name
    with resumable(places, name):
        check_name_is_free_in(places.work_dir, name)
    say_what_is_read(config.dataset)
    if dry_run:
        plan(config, request, as_json)
        return
    from medarts_ops.cli.budget_output import say_fitted_search
    from medarts_ops.tracking.search import tracked_search

    with resumable(places, name), progress_board() as board:
        found = tracked_search(
            config,
            name=name,
            tracking_uri=places.tracking_uri,
            experiment=places.experiment,
            storage=places.storage,
            work_dir=places.work_dir,
            pictures=places.pictures,
            system_metrics=places.system_metrics,
            observers=(SearchProgress(board),),
            evaluate=evaluate,
            on_fitted=say_fitted_search,
            began=began,
        )
    show_search(found, places, as_json)


def settings_of_evaluations(request: Request, config: SearchConfig) -> dict[str, Any]:
    """What the request's file says of evaluations, to be kept with the search.

    Raises:
        ConfigError: no evaluation could begin from it, which is better said before the search than after it.
    """
    file = request.config_file
    settings = read_settings_file(file).evaluate if isinstance(file, Path) else {}
    if settings:
        resolve_evaluate(request._replace(options={}, sets=(), usual_preset=config.preset))
    return settings


def plan(config: SearchConfig, request: Request, as_json: bool) -> None:
    """Print what a search would train and cost, and the evaluation after it. Nothing is stored."""
    from medarts_ops.bench.estimate import TIMED_STEPS, drawn_images, search_estimate
    from medarts_ops.bench.within_budget import search_within_budget
    from medarts_ops.cli.bench import estimate_of
    from medarts_ops.cli.bench_tables import print_estimate
    from medarts_ops.cli.budget_output import say_fitted_search, search_budget_json
    from medarts_ops.cli.evaluation_dry_run import plan_after_search, print_planned_evaluation
    from medarts_ops.resolving import resolve_search_config

    began = time.monotonic()
    with progress_board():
        resolved, data = resolve_search_config(config)
        fitted, data = search_within_budget(resolved, data, began, lambda what: say(f"timing {what}"))
    if fitted is not None:
        resolved = fitted.config
        say_fitted_search(fitted)
    _say_what_images_are(resolved, data)
    if fitted is None:
        estimate = estimate_of(resolved, data, TIMED_STEPS, lambda what: say(f"timing {what}"))
    else:
        estimate = search_estimate(resolved, drawn_images(data), fitted.times)
    say("timing the evaluation of what it would find")
    after = after_search(request._replace(options={}, sets=()), config.preset, config.dataset.model_dump())
    evaluation = plan_after_search(resolve_evaluate(after).config, resolved, data.summary)
    disk = sum(each.images.nbytes for each in (*data.stages, *([] if data.derived is None else [data.derived])))
    if as_json:
        print_json(
            {
                "estimate": estimate.model_dump(),
                "budget": None if fitted is None else search_budget_json(fitted),
                "evaluation": evaluation.as_json(),
                "disk_bytes": disk,
                "config": resolved.model_dump(mode="json"),
            }
        )
        return
    results = results_console()
    print_estimate(results, resolved, estimate)
    print_line(results, f"on disk, in the work directory: {byte_size(disk)} of images")
    results.print()
    print_line(results, "medarts evaluate, after it:")
    print_planned_evaluation(results, evaluation)
    print_line(results, "nothing was stored")


def _say_what_images_are(config: ResolvedSearchConfig, data: SearchData) -> None:
    """Say what was left out of them, how many each class has, and of a user's own which stages have few steps."""
    from medarts_ops.data.dataset import classes_in_words

    for remark in (*data.summary.remarks, *classes_in_words(data.summary)):
        say(remark)
    for index, (stage, images) in enumerate(zip(config.stages, data.stages, strict=True)):
        steps = images.yardstick(stage.batch).steps
        for line in of_own_images(config.dataset.name, steps_warning(config, index, steps)):
            say(line)
