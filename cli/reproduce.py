"""`medarts reproduce`: the paper's tables and figures, measured here over several seeds."""

from __future__ import annotations

import click

from medarts_ops.cli import completion
from medarts_ops.cli.evaluate import after_its_search
from medarts_ops.cli.experiment_options import How, experiment_options
from medarts_ops.cli.experiments import carry_out, free_name
from medarts_ops.cli.loading import progress_board
from medarts_ops.cli.options import (
    Places,
    check_one_format,
    config_request,
    places_options,
    several_seeds_options,
)
from medarts_ops.configs.loader import Request, named_preset
from medarts_ops.configs.scales import at_scale
from medarts_ops.errors import ConfigError, unknown_name
from medarts_ops.experiment import ExperimentKind
from medarts_ops.experiments.network import AskedNetworks

MAX_NETWORKS = 1000


class ExperimentGroup(click.Group):
    """The experiments by name, with the near miss for what is none."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The experiment that `args` begin with; a usage error with the near miss otherwise."""
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(unknown_name("experiment", args[0], self.commands))
        return super().resolve_command(ctx, args)


def parse_sizes(ctx: click.Context, parameter: click.Parameter, given: str | None) -> tuple[int, ...] | None:
    """Numbers of images that rise, `10000,20000`; a ConfigError for what is none."""
    if given is None:
        return None
    words = [word.strip() for word in given.split(",")]
    sizes = tuple(int(word) for word in words if word.isdecimal() and len(word) < 10)
    if len(sizes) != len(words) or len(sizes) < 2 or list(sizes) != sorted(set(sizes)):
        raise ConfigError(
            f"--sizes is {given[:100]!r}: allowed are two numbers of images or more that rise, such as 10000,20000"
        )
    return sizes


_of_option = click.option(
    "--of", metavar="SEARCH", help="Take the individuals of this search instead of random networks."
)
_networks_option = click.option(
    "--networks",
    metavar="N",
    type=click.IntRange(1, MAX_NETWORKS),
    help="How many networks, three at least.  [default: 10, at scale small fewer]",
)
_places_options = places_options("tracking_uri", "storage", "work_dir", "pictures", "system_metrics")


@click.group(cls=ExperimentGroup)
def command() -> None:
    """Reproduce a table or figure of the paper: every training with several seeds, beside the published figures.

    Trainings are jobs of their own. A finished one is never trained twice: an experiment that was stopped goes on by
    `medarts resume NAME`, and equal trainings of before in this store are taken over, which the table says.

    \b
    Examples:
      medarts reproduce table4 search-cifar10 --seeds 0-2
      medarts reproduce fig5 --dataset npz --data birds.npz --dry-run
      medarts reproduce table3 --zoo DARTS_V2 --zoo PC_DARTS_cifar --scale small
    """


@command.command("table3", short_help="Found and published architectures, trained alike (Table III).")
@click.argument("run_ids", metavar="[RUN_ID…]", nargs=-1, shell_complete=completion.runs)
@click.option(
    "--zoo", metavar="NAME", multiple=True, help="A published architecture, as `medarts genotypes` lists them."
)
@several_seeds_options
@experiment_options(scale=True)
@_places_options
@click.pass_context
def table3(
    ctx: click.Context,
    places: Places,
    how: How,
    *,
    run_ids: tuple[str, ...],
    zoo: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
) -> None:
    """Table III: found and published architectures through the same training, beside their published figures.

    RUN_IDs are searches, stages or individuals; dataset and preset are those of the first one's search unless options
    say otherwise. Architectures that the search space can't hold are rows of published figures.

    \b
    Examples:
      medarts reproduce table3 search-cifar10 --seeds 0-2
      medarts reproduce table3 mine --zoo DARTS_V2 --zoo SNAS --scale small --csv
    """
    request = config_request(ctx)
    if run_ids:
        request, _ = after_its_search(request, run_ids[0], places)
    elif zoo:
        _check_says_on_what(request)
    _reproduce("table3", AskedNetworks(run_ids=run_ids, zoo=zoo), request, how, places, as_csv, as_json)


@command.command("table4", short_help="The line of descent of the last stage's best (Table IV).")
@click.argument("search", metavar="SEARCH", shell_complete=completion.runs)
@click.option("--all-parents", is_flag=True, help="Take all parents of a child, not only the first one.")
@several_seeds_options
@experiment_options(scale=True)
@_places_options
@click.pass_context
def table4(
    ctx: click.Context,
    places: Places,
    how: How,
    *,
    search: str,
    all_parents: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Table IV: the line of descent of the last stage's best, one network a stage, each trained at full size.

    SEARCH is the name of a finished search or the id of its run; dataset and preset are its own unless options say
    otherwise. Where the line forks it follows the first parent, which gave a crossover child its normal cell.

    \b
    Examples:
      medarts reproduce table4 search-cifar10
      medarts reproduce table4 search-digits --seeds 0-4 --set epochs=6 --json
    """
    request, _ = after_its_search(config_request(ctx), search, places)
    _reproduce("table4", AskedNetworks(search=search, all_parents=all_parents), request, how, places, as_csv, as_json)


@command.command("fig5", short_help="Networks on few images against more of them (Fig. 5).")
@_of_option
@_networks_option
@click.option(
    "--sizes",
    metavar="N,N…",
    callback=parse_sizes,
    help="Numbers of training images.  [default: five equal steps up to all, at scale small three]",
)
@several_seeds_options
@experiment_options(scale=True)
@_places_options
@click.pass_context
def fig5(
    ctx: click.Context,
    places: Places,
    how: How,
    *,
    of: str | None,
    networks: int | None,
    sizes: tuple[int, ...] | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Fig. 5: is a network that is good on a sample of the images (D_sample) good on more of them?

    Each network is trained on samples of rising size. Pairs of adjacent sizes are correlated: Pearson as the paper
    has it, and rank correlations, which are what a search needs.

    \b
    Examples:
      medarts reproduce fig5 --dataset cifar10 --data ~/data --dry-run
      medarts reproduce fig5 --of search-digits --networks 4 --sizes 400,800 --seeds 0-1
    """
    request = _of_its_search(ctx, of, places)
    _reproduce("fig5", AskedNetworks(of=of, n=networks, sizes=sizes), request, how, places, as_csv, as_json)


@command.command("fig6", short_help="Networks at half the resolution against the whole (Fig. 6).")
@_of_option
@_networks_option
@several_seeds_options
@experiment_options(scale=True)
@_places_options
@click.pass_context
def fig6(
    ctx: click.Context,
    places: Places,
    how: How,
    *,
    of: str | None,
    networks: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Fig. 6: is a network that is good at half the resolution (D_low) good at the images' own?

    Each network is trained at both. The accuracies are correlated: Pearson as the paper has it, and rank
    correlations, which are what a search needs.

    \b
    Examples:
      medarts reproduce fig6 --dataset cifar10 --data ~/data --scale small
      medarts reproduce fig6 --of search-cifar10 --seeds 0-4 --workers 2
    """
    request = _of_its_search(ctx, of, places)
    _reproduce("fig6", AskedNetworks(of=of, n=networks), request, how, places, as_csv, as_json)


def _of_its_search(ctx: click.Context, of: str | None, places: Places) -> Request:
    request = config_request(ctx)
    if of is not None:
        return after_its_search(request, of, places)[0]
    _check_says_on_what(request)
    return request


def _check_says_on_what(request: Request) -> None:
    """Refuse to train for minutes or hours on images that nobody asked for."""
    if named_preset(request, "evaluate") is None:
        raise click.UsageError("no images are named: give --dataset NAME (or --preset NAME), such as --dataset digits")


def _reproduce(
    kind: ExperimentKind,
    networks: AskedNetworks,
    request: Request,
    how: How,
    places: Places,
    as_csv: bool,
    as_json: bool,
) -> None:
    check_one_format(as_csv, as_json)
    with progress_board():
        config, scale = at_scale(request, kind, how.scale)
    name = free_name(how, places, kind, config.dataset.name)
    from medarts_ops.experiments.scales import default_seeds
    from medarts_ops.tracking.reproduction import reproduction

    with progress_board():
        plan = reproduction(
            kind,
            config,
            networks,
            seeds=how.seeds or default_seeds(kind, scale),
            scale=scale,
            tracking_uri=places.tracking_uri,
            experiment=places.experiment,
            work_dir=places.work_dir,
        )
    open_threads = [arm.name for arm in plan.arms] if config.runtime.threads == "auto" else []
    carry_out(plan, name, how, places, open_threads=open_threads, as_csv=as_csv, as_json=as_json)
