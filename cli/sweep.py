"""`medarts sweep`: every combination of some settings' values, with the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medarts_ops.cli import completion
from medarts_ops.cli.evaluate import published_genotype
from medarts_ops.cli.experiment_options import How, experiment_options
from medarts_ops.cli.experiments import carry_out, free_name
from medarts_ops.cli.loading import progress_board, say_what_is_read
from medarts_ops.cli.options import (
    Places,
    check_one_format,
    config_request,
    places_options,
    several_seeds_options,
)
from medarts_ops.configs.loader import named_preset
from medarts_ops.configs.presets import SettingsFile
from medarts_ops.configs.sweep_arms import AskedSweep, arms_of
from medarts_ops.configs.sweep_file import SweepFile, read_sweep_file
from medarts_ops.configs.vary import PRESET, parse_vary
from medarts_ops.errors import ConfigError
from medarts_ops.experiments.network import ArmSettings
from medarts_ops.experiments.scales import default_seeds
from medarts_ops.quantities import counted
from medarts_ops.space.genotype import Genotype

if TYPE_CHECKING:
    from medarts_ops.experiment import ExperimentPlan

UNASKED_TRAININGS = 32
"""How many trainings a sweep has without --yes."""


@click.command(short_help="Compare settings: every combination with the same seeds.")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--vary",
    "varied",
    metavar="PATH=V1,V2",
    multiple=True,
    help="A setting by its dotted path and its values; repeated, all combinations are trained.",
)
@click.option("--evaluate", "evaluates", is_flag=True, help="Also train what each search found, at full size.")
@click.option(
    "--genotype",
    "genotypes",
    metavar="FILE|NAME",
    shell_complete=completion.genotypes,
    multiple=True,
    help="Instead of searching train this genotype; repeated, they are compared.",
)
@several_seeds_options
@experiment_options()
@click.option("--yes", is_flag=True, help=f"Also train more than {UNASKED_TRAININGS} times.")
@places_options("tracking_uri", "storage", "work_dir", "pictures", "system_metrics")
@click.pass_context
def command(
    ctx: click.Context,
    places: Places,
    how: How,
    *,
    file: Path | None,
    varied: tuple[str, ...],
    evaluates: bool,
    genotypes: tuple[str, ...],
    yes: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Search, or train given genotypes, with every combination of some settings' values, each with the same seeds.

    The table has a row for each combination: mean, deviation, standard error and n, the paired difference from the
    first row with its interval, and the cost. Settings of the evaluation of what a search found begin with evaluate.
    FILE is a --config file that may also have vary: (a mapping of paths to lists), seeds: and evaluate_found: true.

    \b
    Examples:
      medarts sweep --vary strategy.order=first,second --seeds 0-4
      medarts sweep --vary 'objectives=[accuracy],[accuracy, params]' --evaluate --set evaluate.epochs=6
      medarts sweep --vary preset=darts,pc-darts,random --dataset digits --budget 1h
      medarts sweep --genotype DARTS_V2 --genotype SNAS --dataset digits --vary weights.lr=0.025,0.1
      medarts sweep mine.yaml --dry-run
    """
    check_one_format(as_csv, as_json)
    if file is None and not varied and not genotypes:
        raise click.UsageError("nothing is varied: give --vary PATH=V1,V2, --genotype or a FILE")
    said = SweepFile(SettingsFile(None, {}, {}), {}, None, False) if file is None else read_sweep_file(file)
    if not (varied or genotypes or said.vary or said.seeds):
        raise click.UsageError(f"{file} varies nothing: give it vary: with a mapping of paths to lists, or seeds:")
    asked = _asked(ctx, said, file, varied, _genotypes(genotypes), evaluates or said.evaluate_found)
    arms = arms_of(asked)
    seeds = how.seeds or said.seeds or default_seeds("sweep", "own")
    _check_how_many(arms, len(seeds), is_wanted=yes or how.dry_run)
    config = arms[0].search or arms[0].evaluation
    assert config is not None, "an arm has a search or an evaluation"
    name = free_name(how, places, "sweep", config.dataset.name)
    say_what_is_read(config.dataset)
    plan = _planned(arms, seeds)
    open_threads = [arm.name for arm in arms if arm.evaluation and arm.evaluation.runtime.threads == "auto"]
    carry_out(plan, name, how, places, open_threads=open_threads, as_csv=as_csv, as_json=as_json)


def _planned(arms: Sequence[ArmSettings], seeds: Sequence[int]) -> ExperimentPlan:
    from medarts_ops.experiments.sweep import plan_sweep, resolved_arms

    with progress_board():
        return plan_sweep(resolved_arms(arms), seeds=seeds, workers=1)


def _asked(
    ctx: click.Context,
    said: SweepFile,
    file: Path | None,
    varied: Sequence[str],
    genotypes: dict[str, Genotype],
    evaluates: bool,
) -> AskedSweep:
    request = config_request(ctx)
    if file is not None:
        if request.config_file is not None:
            raise click.UsageError("FILE and --config exclude each other: a sweep's file has the settings, too")
        request = request._replace(config_file=said.settings)
    if genotypes and evaluates:
        raise click.UsageError("--evaluate is for what searches find, and --genotype makes none: give one of the two")
    parsed = [parse_vary(text) for text in varied]
    paths = [path for path, _ in parsed]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise ConfigError(f"--vary {twice} is given twice: give all of its values at once")
    all_varied = {**said.vary, **dict(parsed)}
    if genotypes and PRESET not in all_varied and named_preset(request, "evaluate") is None:
        raise click.UsageError("--genotype needs --dataset NAME (or --preset NAME): say what to train on")
    return AskedSweep(request, all_varied, genotypes, evaluates)


def _genotypes(given: Sequence[str]) -> dict[str, Genotype]:
    """The genotypes by what people know them by: a file by its name without its ending."""
    found: dict[str, Genotype] = {}
    for text in given:
        stem = Path(text).stem
        known_as = text if stem in found else stem
        if known_as in found:
            raise ConfigError(f"--genotype {text} is given twice: each is trained once with each seed")
        found[known_as] = published_genotype(text)
    return found


def _check_how_many(arms: Sequence[ArmSettings], n_seeds: int, *, is_wanted: bool) -> None:
    counts = {
        "search": n_seeds * sum(arm.search is not None for arm in arms),
        "evaluation": n_seeds * sum(arm.evaluation is not None for arm in arms),
    }
    if sum(counts.values()) > UNASKED_TRAININGS and not is_wanted:
        told = " and ".join(counted(count, kind) for kind, count in counts.items() if count)
        raise ConfigError(
            f"the sweep trains {told}, {len(arms)} combinations with {counted(n_seeds, 'seed')}: more than "
            f"{UNASKED_TRAININGS} need --yes; --dry-run says how long they take"
        )
