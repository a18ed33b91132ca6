"""What `medarts bench` found, as plain data and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from medarts_ops.cli.output import print_table, table
from medarts_ops.quantities import SECONDS_PER_HOUR, byte_size, counted, duration

if TYPE_CHECKING:
    from medarts_ops.bench.estimate import SearchEstimate
    from medarts_ops.bench.evaluation_step import EvaluationTiming
    from medarts_ops.bench.input_pipeline import InputTiming
    from medarts_ops.bench.memory_estimate import MemoryCheck, Setting
    from medarts_ops.bench.search_step import StackTiming, StepTiming
    from medarts_ops.bench.strategies import StrategyTiming
    from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
    from medarts_ops.config_runtime import ResolvedRuntime


class SearchBench(NamedTuple):
    """First order at all sizes, smallest first; at the smallest second order, and a stack.

    `limit` is the machine's, in GFLOP/s; `estimate` is of a whole search, None where its images are missing.
    """

    first: Sequence[StepTiming]
    second: StepTiming
    stacked: StackTiming
    limit: float
    estimate: SearchEstimate | None


def search_bench_json(config: ResolvedSearchConfig, measured: SearchBench) -> dict[str, Any]:
    """All that was measured, first order at the smallest size by a key of its own, too."""
    estimate = measured.estimate
    return {
        "first_order": measured.first[0].model_dump(),
        "second_order": measured.second.model_dump(),
        "stacked": measured.stacked.model_dump(),
        "sizes": [timing.model_dump() for timing in measured.first],
        "peak_gflops": measured.limit,
        "runtime": config.runtime.model_dump(),
        "estimate": None if estimate is None else {"preset": config.preset, **estimate.model_dump()},
    }


def print_search_bench(console: Console, config: ResolvedSearchConfig, measured: SearchBench) -> None:
    """Both orders in one table, the stack, then the estimate."""
    numbers = ("cells", "reference", "product", "ratio", "launches", "of reference", "memory", "of reference ")
    made = table("order", *numbers, "of the limit", numbers=(*numbers, "of the limit"))
    for timing in (*measured.first, measured.second):
        made.add_row(
            "second" if timing is measured.second else "first",
            str(timing.cells),
            f"{timing.reference_seconds:.3f} s",
            f"{timing.seconds:.3f} s",
            f"{timing.ratio:.2f}",
            f"{timing.launches:,}",
            f"{timing.reference_launches:,}",
            byte_size(timing.peak_bytes),
            byte_size(timing.reference_peak_bytes),
            f"{timing.gflops / measured.limit:.0%}",
        )
    console.print(f"Search step on {_where(config.runtime)}; its limit is {measured.limit:,.0f} GFLOP/s")
    print_table(console, made)
    stacked = measured.stacked
    console.print(
        f"{stacked.individuals} individuals stacked, {stacked.cells} cells, first order: each "
        f"{stacked.seconds_per_individual:.3f} s ({stacked.ratio:.2f} times as fast as alone), "
        f"{stacked.launches_per_individual:,.0f} launches\n"
    )
    if measured.estimate is not None:
        print_estimate(console, config, measured.estimate)


def print_strategies_bench(console: Console, config: ResolvedSearchConfig, timings: Sequence[StrategyTiming]) -> None:
    """A line for each strategy."""
    console.print(f"Search step by strategy on {_where(config.runtime)}; ratios are to first-order DARTS's")
    numbers = ("a step", "ratio", "memory", "ratio ", "launches")
    made = table("strategy", *numbers, numbers=numbers)
    for timing in timings:
        made.add_row(
            timing.strategy,
            f"{timing.seconds:.3f} s",
            f"{timing.seconds_ratio:.2f}",
            byte_size(timing.peak_bytes),
            f"{timing.bytes_ratio:.2f}",
            f"{timing.launches:,}",
        )
    print_table(console, made)


def print_estimate(console: Console, config: ResolvedSearchConfig, estimate: SearchEstimate) -> None:
    """What a search will cost, stage by stage."""
    kind = "GPU" if config.runtime.device.startswith("cuda") else "CPU"
    console.print(f"A search with preset {config.preset}: about {_time(estimate.hours)} of one {kind}")
    numbers = ("individuals", "images", "steps", "a step", "memory", "time")
    stages = table("stage", *numbers, numbers=numbers)
    for stage in estimate.stages:
        stages.add_row(
            stage.name,
            str(stage.individuals),
            f"{stage.images:,}",
            f"{stage.steps:,}",
            f"{stage.step_seconds:.3f} s",
            byte_size(stage.step_bytes),
            _time(stage.hours),
        )
    if (trained := estimate.genotypes) is not None:
        stages.add_row(
            "genotypes alone",
            f"≤ {trained.genotypes}",
            f"{trained.images:,}",
            f"{trained.steps:,}",
            f"{trained.step_seconds:.3f} s",
            byte_size(trained.step_bytes),
            _time(trained.hours),
        )
    print_table(console, stages)
    kept = [(config.prune.kept(stage), stage) for stage in config.stages]
    to_the_end = [f"{n} of {stage.size} of {stage.name}" for n, stage in kept if n < stage.size]
    if to_the_end:
        console.print(f"After {counted(config.prune.after or 0, 'epoch')} go on: {', '.join(to_the_end)} (prune)")


def print_evaluation_bench(console: Console, config: ResolvedEvaluateConfig, timing: EvaluationTiming) -> None:
    """The two steps, one below the other."""
    console.print(
        f"Training step of {timing.genotype}, {timing.cells} cells, {timing.channels} channels, "
        f"{timing.resolution}×{timing.resolution}, batch {timing.batch}, on {_where(config.runtime)}"
    )
    numbers = ("a step", "images/s", "ratio", "launches", "memory")
    made = table("", *numbers, numbers=numbers)
    plain = (timing.plain_seconds, timing.plain_images_per_second, 1.0, timing.plain_launches, timing.plain_peak_bytes)
    product = (timing.seconds, timing.images_per_second, timing.ratio, timing.launches, timing.peak_bytes)
    for name, (seconds, images, ratio, launches, peak) in (("plain", plain), ("product", product)):
        made.add_row(name, f"{seconds:.3f} s", f"{images:,.1f}", f"{ratio:.2f}", f"{launches:,}", byte_size(peak))
    print_table(console, made)


def print_memory_bench(console: Console, runtime: ResolvedRuntime, checks: Sequence[MemoryCheck]) -> None:
    """A line for each training."""
    console.print(f"Memory of trainings on {_where(runtime)}, beside what was estimated before")
    numbers = ("cells", "channels", "batch", "images", "estimated", "measured", "ratio")
    made = table("", *numbers, numbers=numbers)
    for check in checks:
        size = check.setting
        made.add_row(
            _what_is_trained(size),
            str(size.cells),
            str(size.channels),
            str(size.batch),
            f"{size.resolution}×{size.resolution}",
            byte_size(check.estimated),
            byte_size(check.measured),
            f"{check.ratio:.2f}",
        )
    print_table(console, made)


def training_in_words(setting: Setting) -> str:
    """`darts, stem cifar: 4 cells, 16 channels, batch 64, 32×32`."""
    sizes = f"{setting.cells} cells, {setting.channels} channels, batch {setting.batch}"
    return f"{_what_is_trained(setting)}: {sizes}, {setting.resolution}×{setting.resolution}"


def _what_is_trained(setting: Setting) -> str:
    return f"{setting.strategy or 'network'}, stem {setting.stem}"


def print_data_bench(console: Console, runtime: ResolvedRuntime, timings: Sequence[InputTiming]) -> None:
    """A line for each resolution."""
    console.print(f"Augmented images a second on {_where(runtime)}, against a loader with {timings[0].workers} workers")
    numbers = ("resolution", "batch", "loader", "product", "ratio")
    made = table(*numbers, numbers=numbers)
    for timing in timings:
        made.add_row(
            f"{timing.resolution}×{timing.resolution}",
            str(timing.batch),
            f"{timing.loader_images_per_second:,.0f}",
            f"{timing.images_per_second:,.0f}",
            f"{timing.ratio:.1f}",
        )
    print_table(console, made)


def _where(runtime: ResolvedRuntime) -> str:
    return f"{runtime.device}, precision {runtime.amp}, {counted(runtime.threads, 'thread')}"


def _time(hours: float) -> str:
    return duration(SECONDS_PER_HOUR * hours)
