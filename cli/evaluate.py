"""`medarts evaluate`: full-size training of one architecture."""

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
    tracking_uri_option,
    work_dir_option,
)
from medarts_ops.cli.output import evaluation_json, print_evaluation, print_json, progress_console, results_console
from medarts_ops.cli.progress import EvaluationProgress, ProgressBoard
from medarts_ops.configs.loader import Request, after_search, named_preset, resolve_evaluate
from medarts_ops.journal.folder import fresh_name
from medarts_ops.space.formats import read_genotype
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype


@click.command()
@click.argument("run_id", required=False, metavar="[RUN_ID]")
@click.option(
    "--genotype",
    "published",
    metavar="FILE|NAME",
    help="Instead of a run: a file with a genotype (JSON or DARTS's form), or a name of `medarts genotypes`.",
)
@config_options
@click.option("--name", metavar="NAME", help="The evaluation run's name.  [default: evaluate-<dataset>-<time>]")
@tracking_uri_option
@work_dir_option
@pictures_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    run_id: str | None,
    published: str | None,
    name: str | None,
    tracking_uri: str | None,
    work_dir: Path,
    pictures: bool,
    as_json: bool,
) -> None:
    """Train an architecture at full size with DARTS's setting, and test it.

    RUN_ID is a search, a stage (its best individual) or an individual, by run id, or by name for a search; dataset
    and preset are those of the search unless options say otherwise. The evaluation is logged under the search.

    \b
    Examples:
      medarts evaluate 0123456789abcdef0123456789abcdef
      medarts evaluate search-cifar10 --set epochs=50 --set batch=64
      medarts evaluate --genotype DARTS_V2 --dataset cifar10 --data ~/data
      medarts evaluate --genotype found.json --dataset npz --data birds.npz
    """
    if (run_id is None) == (published is None):
        raise click.UsageError("give a RUN_ID or --genotype FILE|NAME, one of the two")
    request = config_request(ctx)
    genotype = None
    if published is not None:
        if named_preset(request, "evaluate") is None:
            raise click.UsageError("--genotype needs --dataset NAME (or --preset NAME): say what to train on")
        genotype = published_genotype(published)
    elif run_id is not None:
        request = _of_search(request, run_id, tracking_uri)
    config = resolve_evaluate(request).config
    from medarts_ops.tracking.evaluation import tracked_evaluation

    name = fresh_name("evaluate", config.dataset.name) if name is None else name
    with resumable(ctx, work_dir, name), ProgressBoard(progress_console()) as board:
        trained = tracked_evaluation(
            config,
            run_id=run_id,
            genotype=genotype,
            name=name,
            tracking_uri=tracking_uri,
            work_dir=work_dir,
            pictures=pictures,
            observers=(EvaluationProgress(board),),
        )
    tell_what_waits(ctx, "resume", name, trained.waiting)
    if as_json:
        print_json(evaluation_json(trained))
    else:
        print_evaluation(results_console(), trained, named_store(ctx))


def published_genotype(given: str) -> Genotype:
    """The genotype in the file `given`, or the published one of that name.

    Raises:
        GenotypeError: no such file or name, or the file holds no genotype.
    """
    path = Path(given).expanduser()
    return read_genotype(path) if path.is_file() or path.suffix or len(path.parts) > 1 else zoo_genotype(given)


def _of_search(request: Request, run_id: str, tracking_uri: str | None) -> Request:
    from medarts_ops.tracking.reading.stored_runs import evaluated_search, stored_settings
    from medarts_ops.tracking.stores.opening import open_store

    store = open_store(tracking_uri, create=False)
    search = evaluated_search(store, store.find_run(run_id))
    stored = stored_settings(store, search)
    return after_search(request, stored.preset, stored.dataset.model_dump())
