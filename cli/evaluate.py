"""`medarts evaluate`: full-size training of one architecture."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medarts_ops.cli import completion
from medarts_ops.cli.jobs import show_evaluation
from medarts_ops.cli.loading import looking_for, progress_board, say, say_what_is_read
from medarts_ops.cli.next_command import resumable
from medarts_ops.cli.options import (
    Places,
    budget_option,
    config_options,
    config_request,
    json_option,
    noted_option,
    places_options,
)
from medarts_ops.cli.output import print_json, print_line, results_console
from medarts_ops.cli.progress import EvaluationProgress, of_own_images
from medarts_ops.config import EvaluateConfig
from medarts_ops.configs.loader import Request, after_search, named_preset, resolve_evaluate
from medarts_ops.journal.folder import fresh_name
from medarts_ops.space.formats import read_genotype
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype

if TYPE_CHECKING:
    from medarts_ops.tracking.reading.relations import Evaluated


@click.command()
@click.argument("run_id", required=False, metavar="[RUN_ID]", shell_complete=completion.runs)
@click.option(
    "--genotype",
    "published",
    metavar="FILE|NAME",
    shell_complete=completion.genotypes,
    help="Instead of a run: a file with a genotype (JSON or DARTS's form), or a name of `medarts genotypes`.",
)
@config_options
@noted_option(
    "--devices",
    type=int,
    metavar="N",
    help="Cards that share each batch of this training, or processes on a CPU.  [default: 1]",
)
@noted_option(
    "--checkpoint-cells",
    is_flag=True,
    default=None,
    help="Compute what is inside cells again for the backward pass: the same numbers in less memory, slower.",
)
@noted_option(
    "--compile",
    is_flag=True,
    default=None,
    help="Have torch compile the training step: minutes once, then faster. Needs a C++ compiler, on CUDA triton.",
)
@click.option("--name", metavar="NAME", help="The evaluation run's name.  [default: evaluate-<dataset>-<time>]")
@budget_option
@click.option("--dry-run", is_flag=True, help="Print what it would train and cost, from a few timed steps.")
@places_options("tracking_uri", "work_dir", "pictures", "system_metrics")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    places: Places,
    *,
    run_id: str | None,
    published: str | None,
    name: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train an architecture at full size with DARTS's setting, and test it.

    RUN_ID is a search, a stage (its best individual) or an individual, by run id or name (SEARCH, SEARCH/stage-init,
    SEARCH/init-02). Dataset, preset and what the search's --config said of evaluations are the search's unless a file
    or options say otherwise. The evaluation is logged under the search.

    \b
    Examples:
      medarts evaluate 0123456789abcdef0123456789abcdef
      medarts evaluate search-cifar10 --set epochs=50 --set batch=64
      medarts evaluate search-cifar10/init-02
      medarts evaluate --genotype DARTS_V2 --dataset cifar10 --data ~/data
      medarts evaluate --genotype found.json --dataset npz --data birds.npz
      medarts evaluate search-cifar10 --dry-run
      medarts evaluate search-cifar10 --budget 8h
      medarts evaluate search-cifar10 --devices 4
    """
    began = time.monotonic()
    if (run_id is None) == (published is None):
        raise click.UsageError("give a RUN_ID or --genotype FILE|NAME, one of the two")
    request = config_request(ctx)
    evaluated = genotype = None
    if run_id is not None:
        with looking_for(run_id):
            request, evaluated = after_its_search(request, run_id, places)
    elif named_preset(request, "evaluate") is None:
        raise click.UsageError("--genotype needs --dataset NAME (or --preset NAME): say what to train on")
    else:
        genotype = published_genotype(str(published))
    config = resolve_evaluate(request).config
    say_what_is_read(config.dataset)
    if dry_run:
        plan(config, genotype or genotype_of(evaluated), as_json)
        return
    from medarts_ops.cli.budget_output import say_fitted_evaluation
    from medarts_ops.tracking.evaluation import tracked_evaluation

    name = fresh_name("evaluate", config.dataset.name) if name is None else name
    with resumable(places, name), progress_board() as board:
        trained = tracked_evaluation(
            config,
            run_id=evaluated,
            genotype=genotype,
            name=name,
            tracking_uri=places.tracking_uri,
            experiment=places.experiment,
            work_dir=places.work_dir,
            pictures=places.pictures,
            system_metrics=places.system_metrics,
            observers=(EvaluationProgress(board),),
            on_fitted=say_fitted_evaluation,
            began=began,
        )
    show_evaluation(trained, places, as_json)


def plan(config: EvaluateConfig, genotype: Genotype, as_json: bool) -> None:
    """Print what an evaluation would train and cost. Nothing is stored."""
    from medarts_ops.bench.within_budget import evaluation_within_budget
    from medarts_ops.cli.budget_output import evaluation_budget_json, say_fitted_evaluation
    from medarts_ops.cli.evaluation_dry_run import plan_evaluation, planned_evaluation, print_planned_evaluation
    from medarts_ops.data.evaluation_images import few_steps_warning
    from medarts_ops.experiments.checks import check_can_be_trained
    from medarts_ops.resolving import resolve_evaluation

    began = time.monotonic()
    with progress_board():
        resolved, dataset = resolve_evaluation(config)
    check_can_be_trained(resolved, dataset)
    for remark in dataset.remarks:
        say(remark)
    say("timing a few steps")
    fitted = evaluation_within_budget(resolved, genotype, dataset.summary(None), began)
    if fitted is None:
        planned = plan_evaluation(resolved, genotype, dataset.summary(None))
    else:
        say_fitted_evaluation(fitted)
        planned = planned_evaluation(fitted.config, genotype, dataset.summary(None), fitted.estimate)
    for line in of_own_images(planned.dataset.name, few_steps_warning(planned.config, planned.dataset)):
        say(line)
    if as_json:
        print_json({**planned.as_json(), "budget": None if fitted is None else evaluation_budget_json(fitted)})
        return
    print_planned_evaluation(results_console(), planned)
    print_line(results_console(), "nothing was stored")


def genotype_of(evaluated: Evaluated | None) -> Genotype:
    """The genotype of the individual that a run stands for."""
    from medarts_ops.tracking.reading.contents import found_by

    assert evaluated is not None, "without a genotype there is a run"
    return found_by(evaluated)[1]


def after_its_search(request: Request, run_id: str, places: Places) -> tuple[Request, Evaluated]:
    """The request with what the run's search says of evaluations below it, and the run."""
    from medarts_ops.tracking.artifacts.shapes import read_evaluate_tag
    from medarts_ops.tracking.reading import contents, relations

    evaluated = relations.find_evaluated(run_id, tracking_uri=places.tracking_uri, experiment=places.experiment)
    stored = contents.stored_settings(evaluated.store, evaluated.search)
    kept = read_evaluate_tag(evaluated.search.run_id, evaluated.search.tags)
    return after_search(request, stored.preset, stored.dataset.model_dump(), kept), evaluated


def published_genotype(given: str) -> Genotype:
    """The genotype in the file `given`, or the published one of that name.

    Raises:
        GenotypeError: no such file or name, or the file holds no genotype.
    """
    path = Path(os.path.expanduser(given))
    return read_genotype(path) if os.path.isfile(path) or path.suffix or len(path.parts) > 1 else zoo_genotype(given)
