"""`medarts bench`: how fast this machine searches, trains and reads images, against the original's ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from medarts_ops.cli import bench_tables
from medarts_ops.cli.loading import progress_board
from medarts_ops.cli.options import config_request, giving, json_option, made_up_images_options, search_options
from medarts_ops.cli.output import print_json, progress_console, results_console
from medarts_ops.configs.layers import nested
from medarts_ops.configs.loader import load_evaluate_config, resolve_evaluate, resolve_search
from medarts_ops.errors import DataError

if TYPE_CHECKING:
    from medarts_ops.bench.estimate import SearchEstimate
    from medarts_ops.config import ResolvedSearchConfig, SearchConfig, StageConfig
    from medarts_ops.data.dataset import ImageShape
    from medarts_ops.data.search_data import SearchData
    from medarts_ops.shrinking import DrawnImages

RESOLUTION = click.IntRange(8)

BENCH_STACK = 8
"""Individuals of the measured stack: a first stage's population, by default."""

_count_option = partial(click.option, type=click.IntRange(1), show_default=True)

repeats_option = _count_option("--repeats", default=5, help="Timed turns of each; medians are shown.")

_step_options = giving(
    _count_option("--channels", default=16, help="First channels of the supernet."),
    _count_option("--resolution", type=RESOLUTION, default=16, help="Side of the made-up images."),
    _count_option("--batch", default=64, help="Images of a step, of each half."),
    repeats_option,
    made_up_images_options,
    search_options,
    json_option,
)
"""Of the commands that time a search's step."""


@click.group()
def command() -> None:
    """Measure this machine; claims about speed come from here.

    \b
    Examples:
      medarts bench search
      medarts bench strategies
      medarts bench evaluate
      medarts bench memory
      medarts bench data --json
    """


@command.command("search")
@_count_option("--cells", type=click.IntRange(3), multiple=True, default=(4, 6, 8), help="Repeatable.")
@_step_options
@click.pass_context
def search(
    ctx: click.Context, *, cells: Sequence[int], channels: int, resolution: int, batch: int, repeats: int, as_json: bool
) -> None:
    """Time the search step against the original DARTS code's on the same work, and estimate a whole search.

    Both take turns in one process, on made-up images: first order at all sizes; at the smallest second order, too,
    and a stack of individuals (8, or --stack) trained as one network.
    Launches count what would be GPU kernels. Needed work is the arithmetic that a step can't do without; the
    machine's limit is a large matrix product. The estimate is for the preset that is asked for (cifar10 unless
    --preset or --dataset says otherwise), in that preset's order; it is left out where that takes images that are
    not there. On CUDA a search finds its layout by timing before it begins; the steps here have the usual one, or that
    of --set runtime.matrix_side.

    \b
    Examples:
      medarts bench search
      medarts bench search --cells 8 --repeats 3
      medarts bench search --preset digits --set runtime.threads=1 --json
    """
    asked = resolve_search(config_request(ctx)._replace(usual_preset="cifar10")).config
    from medarts_ops.bench.estimate import estimate_search
    from medarts_ops.bench.search_step import measure_stack, measure_step, peak_gflops
    from medarts_ops.data.dataset import ImageShape
    from medarts_ops.resolving import resolve_config_alone
    from medarts_ops.training.runtime import Runtime

    config = resolve_config_alone(asked, (resolution, resolution))
    size = ImageShape.square(resolution)
    stages = [
        config.stages[0].model_copy(update={"cells": n, "channels": channels, "batch": batch})
        for n in sorted(set(cells))
    ]
    console = progress_console()
    try:
        whole = _whole_search(asked, config, size)
    except DataError as error:  # known before minutes of timing, which is of made-up images
        if asked.dataset.data is not None:
            raise
        whole = None
        console.print(f"a whole search is not estimated: {error}")
    first = []
    for stage in stages:
        console.print(_timing(stage, resolution))
        first.append(measure_step(config, stage, size, repeats, order="first"))
    console.print(f"timing second order, {stages[0].cells} cells")
    second = measure_step(config, stages[0], size, repeats, order="second")
    individuals = BENCH_STACK if asked.runtime.stack == "auto" else config.runtime.stack
    console.print(f"timing {individuals} individuals stacked, {stages[0].cells} cells")
    stacked = measure_stack(config, stages[0], size, repeats, individuals)
    limit = peak_gflops(Runtime.from_config(config.runtime).device)
    estimate = None
    if whole is not None:
        console.print(f"timing the stages of preset {config.preset}")
        estimate = estimate_search(*whole, repeats)
    measured = bench_tables.SearchBench(first, second, stacked, limit, estimate)
    if as_json:
        print_json(bench_tables.search_bench_json(config, measured))
    else:
        bench_tables.print_search_bench(results_console(), config, measured)


@command.command("strategies")
@click.option("--strategy", "names", metavar="NAME", multiple=True, help="Repeatable.  [default: all there are]")
@_count_option("--cells", type=click.IntRange(3), default=8, help="Cells of the supernet.")
@_step_options
@click.pass_context
def strategies(
    ctx: click.Context,
    *,
    names: Sequence[str],
    cells: int,
    channels: int,
    resolution: int,
    batch: int,
    repeats: int,
    as_json: bool,
) -> None:
    """Time a search step of each strategy, and its memory, against first-order DARTS's on the same work.

    All take turns in one process, on made-up images. The strategy of the preset, or of --set strategy.name, has the
    settings that were given, the others their defaults.

    \b
    Examples:
      medarts bench strategies
      medarts bench strategies --strategy pc-darts --strategy gdas --cells 4
      medarts bench strategies --strategy pc-darts --preset pc-darts --set strategy.channel_share=2 --json
    """
    asked = resolve_search(config_request(ctx)._replace(usual_preset="cifar10")).config
    from medarts_ops.bench.strategies import measure_strategies
    from medarts_ops.data.dataset import ImageShape
    from medarts_ops.resolving import resolve_config_alone
    from medarts_ops.strategies.registry import STRATEGIES

    stage = asked.stages[0].model_copy(update={"cells": cells, "channels": channels, "batch": batch})
    config = resolve_config_alone(asked.model_copy(update={"stages": (stage,)}), (resolution, resolution))
    size = ImageShape.square(resolution)
    progress_console().print(_timing(stage, resolution))
    timings = measure_strategies(config, stage, size, repeats, tuple(dict.fromkeys(names)) or STRATEGIES.names())
    if as_json:
        print_json({"strategies": [timing.model_dump() for timing in timings], "runtime": config.runtime.model_dump()})
    else:
        bench_tables.print_strategies_bench(results_console(), config, timings)


@command.command("evaluate")
@click.option("--cells", type=click.IntRange(3), help="Cells of the network.  [default: the preset's, 20]")
@click.option("--channels", type=click.IntRange(1), help="First channels.  [default: the preset's, 36]")
@_count_option("--resolution", type=RESOLUTION, default=32, help="Side of the made-up images.")
@click.option("--batch", type=click.IntRange(2), help="Images of a step.  [default: the preset's, 96]")
@repeats_option
@made_up_images_options
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    *,
    cells: int | None,
    channels: int | None,
    resolution: int,
    batch: int | None,
    repeats: int,
    as_json: bool,
) -> None:
    """Time the training step of a full-size network against the original DARTS code's on the same work.

    Both take turns in one process, on made-up images: the published cells DARTS_V2 in the setting of the preset that
    is asked for (cifar10 unless --preset or --dataset says otherwise). At full size a turn takes minutes on a CPU.
    On CUDA an evaluation finds its layout by timing before it begins; here it is channels-last, or what --set
    runtime.channels_last says.

    \b
    Examples:
      medarts bench evaluate
      medarts bench evaluate --cells 5 --batch 16 --json
    """
    asked = resolve_evaluate(config_request(ctx)._replace(usual_preset="cifar10")).config
    from medarts_ops.bench.evaluation_step import measure_evaluation
    from medarts_ops.resolving import resolve_evaluate_config

    sizes = {"cells": cells, "channels": channels, "batch": batch}
    given: dict[str, object] = {name: value for name, value in sizes.items() if value is not None}
    config = resolve_evaluate_config(asked.model_copy(update=given), (resolution, resolution))
    progress_console().print(
        f"timing {config.cells} cells, {config.channels} channels, {resolution}×{resolution}, batch {config.batch}"
    )
    timing = measure_evaluation(config, resolution, repeats)
    if as_json:
        print_json({"evaluation": timing.model_dump(), "runtime": config.runtime.model_dump()})
    else:
        bench_tables.print_evaluation_bench(results_console(), config, timing)


@command.command("memory")
@made_up_images_options
@json_option
@click.pass_context
def memory(ctx: click.Context, *, as_json: bool) -> None:
    """Train a few searches and networks in processes of their own, and hold the memory they take to its estimate.

    What a search or an evaluation needs is estimated before it starts, and refused where less is free; this shows how
    good the estimates are on this machine. Takes some minutes and, on a CPU, up to 2 GiB.

    \b
    Examples:
      medarts bench memory
      medarts bench memory --set runtime.threads=1 --json
    """
    request = config_request(ctx)._replace(usual_preset="cifar10")
    asked = resolve_search(request).config, resolve_evaluate(request).config
    from medarts_ops.bench.memory_estimate import SETTINGS, check_estimate
    from medarts_ops.resolving import resolve_config_alone, resolve_evaluate_config

    side = (32, 32)  # of settings: these say their own
    search, evaluation = resolve_config_alone(asked[0], side), resolve_evaluate_config(asked[1], side)
    console, checks = progress_console(), []
    for number, setting in enumerate(SETTINGS, start=1):
        console.print(f"measuring {number} of {len(SETTINGS)}: {bench_tables.training_in_words(setting)}")
        checks.append(check_estimate(setting, search, evaluation))
    if as_json:
        print_json({"memory": [each.model_dump() for each in checks], "runtime": search.runtime.model_dump()})
    else:
        bench_tables.print_memory_bench(results_console(), search.runtime, checks)


@command.command("data")
@_count_option(
    "--resolution",
    "resolutions",
    type=RESOLUTION,
    multiple=True,
    default=(16, 32),
    help="Side of the made-up images. Repeatable.",
)
@_count_option("--batch", default=64, help="Images of a batch.")
@repeats_option
@click.option("--device", metavar="NAME", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@json_option
def data(*, resolutions: tuple[int, ...], batch: int, repeats: int, device: str, as_json: bool) -> None:
    """Time augmented training batches against a torch DataLoader that augments PIL images in worker processes.

    Both crop, flip and normalise the same 4,096 made-up images in turn. The loader has a worker for each core, started
    before the clock.

    \b
    Examples:
      medarts bench data
      medarts bench data --resolution 64 --batch 128 --json
    """
    asked = load_evaluate_config("cifar10", options=nested("runtime.device", device)).runtime
    from medarts_ops.bench.input_pipeline import measure_input
    from medarts_ops.resolving import resolve_runtime

    runtime = resolve_runtime(asked)
    timings = []
    for resolution in resolutions:
        progress_console().print(f"timing {resolution}×{resolution}, batch {batch}")
        timings.append(measure_input(runtime, resolution, batch, repeats))
    if as_json:
        print_json({"data": [timing.model_dump() for timing in timings], "runtime": runtime.model_dump()})
    else:
        bench_tables.print_data_bench(results_console(), runtime, timings)


def _timing(stage: StageConfig, resolution: int) -> str:
    return f"timing {stage.cells} cells, {stage.channels} channels, {resolution}×{resolution}, batch {stage.batch}"


def _whole_search(
    asked: SearchConfig, config: ResolvedSearchConfig, size: ImageShape
) -> tuple[ResolvedSearchConfig, DrawnImages, ImageShape]:
    """The search to estimate, and the images that it draws; a DataError where it takes the data to know them."""
    from medarts_ops.bench.estimate import drawn_images
    from medarts_ops.resolving import resolve_search_config
    from medarts_ops.shrinking import DrawnImages

    numbers = tuple(stage.images for stage in config.stages if isinstance(stage.images, int))
    derived = config.derived.images if config.trains_genotypes else 0
    if len(numbers) == len(config.stages) and isinstance(derived, int):
        return config, DrawnImages(numbers, derived), size
    # Shares of the images: only the data say how many those are.
    with progress_board():
        resolved, data = resolve_search_config(asked.model_copy(update={"runtime": config.runtime}))
    return resolved, drawn_images(data), data.stages[0].shape


def estimate_of(
    config: ResolvedSearchConfig, data: SearchData, repeats: int, on_timing: Callable[[str], None] = lambda _: None
) -> SearchEstimate:
    """What a search of these very images will cost; `on_timing` is told what is timed."""
    from medarts_ops.bench.estimate import drawn_images, estimate_search

    return estimate_search(config, drawn_images(data), data.stages[0].shape, repeats, on_timing)
