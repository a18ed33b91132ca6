"""Options that all experiments share, beside settings and places: seeds, scale, workers, and what is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import click
from click.decorators import pass_meta_key

from medarts_ops.cli.options import Command, csv_option, giving, json_option
from medarts_ops.configs.seed_list import parse_seeds
from medarts_ops.errors import ConfigError
from medarts_ops.experiment import Scale
from medarts_ops.quantities import seconds_of
from medarts_ops.settings import MAX_AT_A_TIME

_HOW = "medarts_ops.cli.experiment_options"


@dataclass(frozen=True)
class How:
    """How an experiment is carried out and told; None is for whoever knows the usual one."""

    name: str | None = None
    seeds: tuple[int, ...] | None = None
    scale: Scale | None = None
    workers: int | Literal["auto"] = "auto"
    fresh: bool = False
    dry_run: bool = False
    budget: float | None = None


def _note(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if parameter.name == "seeds" and value is not None:
        value = parse_seeds(value)
    if parameter.name == "budget" and value is not None:
        value = _seconds(value)
    if parameter.name == "workers":
        value = _workers(value)
    ctx.meta[_HOW] = replace(ctx.meta.get(_HOW, How()), **{str(parameter.name): value})


_option = partial(click.option, expose_value=False, callback=_note)

_SCALE_OPTION = _option(
    "--scale",
    type=click.Choice(["small", "paper"]),
    help="small ends within minutes to half an hour on two cores; paper has the paper's sizes.  [default: paper for "
    "cifar10 and cifar100, small for others]",
)

_OPTIONS = (
    _option(
        "--seeds",
        metavar="SEEDS",
        help="A range 0-4, a list 0,2,5, or one: everything is trained once with each.  [default: 0-2; figures 0-4, at "
        "scale small 0-1]",
    ),
    _option(
        "--workers",
        metavar="N|auto",
        default="auto",
        help="Evaluations that are trained side by side.  [default: auto, what ends first; 1 on a GPU]",
    ),
    _option("--fresh", is_flag=True, help="Train anew what this store has trained before with equal settings."),
    _option(
        "--budget",
        metavar="TIME",
        help="Be done within it, such as 45m, 2h or 2d: all trainings are made smaller by one factor until they fit, "
        "and each has its part of the time.",
    ),
    _option("--dry-run", is_flag=True, help="Print what would be trained, hours and disk, from a few timed steps."),
    _option("--name", metavar="NAME", help="The experiment's name.  [default: <kind>-<dataset>-<time>]"),
    csv_option,
    json_option,
)


def experiment_options(*, scale: bool = False) -> Callable[[Command], Command]:
    """Gives a command these options, and what they come to as its first argument, a `How`; `--scale` on request.

    --csv and --json are arguments of their own, as those of other commands.
    """
    give = giving(*([_SCALE_OPTION] if scale else []), *_OPTIONS)
    return lambda command: give(pass_meta_key(_HOW)(command))


def _seconds(given: str) -> float:
    try:
        return seconds_of(given)
    except ValueError as error:
        raise ConfigError(f"--budget is {given[:40]!r}: {error}") from error


def _workers(given: str) -> int | Literal["auto"]:
    if given == "auto":
        return "auto"
    if not given.isdecimal() or not 1 <= int(given) <= MAX_AT_A_TIME:
        raise ConfigError(f"--workers is {given[:40]!r}: allowed are 1 to {MAX_AT_A_TIME}, and auto")
    return int(given)
