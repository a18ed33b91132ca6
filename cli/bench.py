"""`medarts bench`: how fast this machine searches, and how far that is from its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from medarts_ops.cli.options import config_options, config_request, json_option
from medarts_ops.cli.output import print_json, print_table, progress_console, results_console, table
from medarts_ops.cli.quantities import hours
from medarts_ops.configs.loader import resolve_search

if TYPE_CHECKING:
    from medarts_ops.bench.estimate import SearchEstimate
    from medarts_ops.bench.search_step import ImageSize, StepTiming
    from medarts_ops.config import SearchConfig
    from medarts_ops.data.search_data import SearchData

MEBI = 2**20


@click.group()
def command() -> None:
    """Measure this machine; claims about speed come from here.

    \b
    Examples:
      medarts bench search
      medarts bench search --cells 8 --preset digits --json
    """


@command.command("search")
@click.option(
    "--cells", type=click.IntRange(3), multiple=True, default=(4, 6, 8), show_default=True, help="Repeatable."
)
@click.option(
    "--channels", type=click.IntRange(1), default=16, show_default=True, help="First channels of the supernet."
)
@click.option("--side", type=click.IntRange(8), default=16, show_default=True, help="Side of the made-up images.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images of a step, of each half.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Timed steps; medians are shown.")
@config_options
@json_option
@click.pass_context
def search(
    ctx: click.Context,
    *,
    cells: tuple[int, ...],
    channels: int,
    side: int,
    batch: int,
    repeats: int,
    as_json: bool,
) -> None:
    """Time the search step against the original DARTS code's on the same work, and estimate a whole search.

    Both take turns in one process, on made-up images. Launches count what would be GPU kernels. Needed work is the
    arithmetic that a step can't do without; the machine's limit is a large matrix product. The estimate is for
    the preset that is asked for (cifar10 unless --preset or --dataset says otherwise).

    \b
    Examples:
      medarts bench search
      medarts bench search --cells 8 --set strategy.order=second
      medarts bench search --preset digits --set runtime.threads=1 --json
    """
    config = resolve_search(config_request(ctx)._replace(usual_preset="cifar10")).config
    from medarts_ops.bench.search_step import ImageSize, measure_step, peak_gflops
    from medarts_ops.search import resolve_config
    from medarts_ops.training.runtime import Runtime

    config = resolve_config(config)
    size = ImageSize(resolution=side, in_channels=3, n_classes=10)
    stage = config.stages[0].model_copy(update={"channels": channels, "batch": batch})
    console = progress_console()
    timings = []
    for n in cells:
        console.print(f"timing {n} cells, {channels} channels, {side}×{side}, batch {batch}")
        timings.append(measure_step(config, stage.model_copy(update={"cells": n}), size, repeats))
    limit = peak_gflops(Runtime.from_config(config.runtime).device)
    console.print(f"timing the stages of preset {config.preset}")
    estimate = _estimate(config, size, repeats)
    if as_json:
        print_json(_as_json(config, timings, limit, estimate))
    else:
        _print(config, timings, limit, estimate)


def _estimate(config: SearchConfig, size: ImageSize, repeats: int) -> SearchEstimate:
    from medarts_ops.bench.estimate import estimate_search
    from medarts_ops.data.search_data import prepare_search_data

    numbers = [stage.images for stage in config.stages if isinstance(stage.images, int)]
    if len(numbers) == len(config.stages):
        return estimate_search(config, tuple(numbers), size, repeats)
    # Shares of the images: only the data say how many those are.
    return estimate_of(config, prepare_search_data(config), repeats)


def estimate_of(config: SearchConfig, data: SearchData, repeats: int) -> SearchEstimate:
    """What a search of these very images will cost."""
    from medarts_ops.bench.estimate import estimate_search
    from medarts_ops.bench.search_step import ImageSize

    first = data.stages[0].images
    size = ImageSize(resolution=first.shape[1], in_channels=first.shape[3], n_classes=data.stages[0].n_classes)
    return estimate_search(config, tuple(len(stage.images) for stage in data.stages), size, repeats)


def _as_json(config: SearchConfig, timings: list[StepTiming], limit: float, estimate: SearchEstimate) -> dict[str, Any]:
    return {
        f"{config.strategy.order}_order": timings[0].model_dump(),
        "sizes": [timing.model_dump() for timing in timings],
        "peak_gflops": limit,
        "runtime": config.runtime.model_dump(),
        "estimate": {"preset": config.preset, **estimate.model_dump()},
    }


def _print(config: SearchConfig, timings: list[StepTiming], limit: float, estimate: SearchEstimate) -> None:
    console = results_console()
    numbers = ("reference", "product", "ratio", "launches", "of reference", "memory", "of reference ", "of the limit")
    made = table("cells", *numbers, numbers=("cells", *numbers))
    for timing in timings:
        made.add_row(
            str(timing.cells),
            f"{timing.reference_seconds:.3f} s",
            f"{timing.seconds:.3f} s",
            f"{timing.ratio:.2f}",
            f"{timing.launches:,}",
            f"{timing.reference_launches:,}",
            f"{timing.peak_bytes / MEBI:,.0f} MiB",
            f"{timing.reference_peak_bytes / MEBI:,.0f} MiB",
            f"{timing.gflops / limit:.0%}",
        )
    runtime = config.runtime
    console.print(
        f"{config.strategy.order.capitalize()}-order search step on {runtime.device}, precision {runtime.amp}, "
        f"{runtime.threads} threads; its limit is {limit:,.0f} GFLOP/s"
    )
    print_table(console, made)
    console.print()
    print_estimate(console, config, estimate)


def print_estimate(console: Console, config: SearchConfig, estimate: SearchEstimate) -> None:
    """What a search will cost, stage by stage."""
    kind = "GPU" if config.runtime.device.startswith("cuda") else "CPU"
    console.print(f"A search with preset {config.preset}: about {hours(estimate.hours * 3600)} of one {kind}")
    numbers = ("individuals", "images", "steps", "a step", "memory", "hours")
    stages = table("stage", *numbers, numbers=numbers)
    for stage in estimate.stages:
        stages.add_row(
            stage.name,
            str(stage.individuals),
            f"{stage.images:,}",
            f"{stage.steps:,}",
            f"{stage.step_seconds:.3f} s",
            f"{stage.step_bytes / MEBI:,.0f} MiB",
            hours(stage.hours * 3600),
        )
    print_table(console, stages)
