"""Settings resolved, once, before anything is trained or stored: no `auto`, no direction left open, no unknown name."""

from __future__ import annotations

import logging
from typing import Any

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, ResolvedSearchConfig, SearchConfig
from medarts_ops.config_choice import of_supernets
from medarts_ops.config_parsing import parse_config
from medarts_ops.config_runtime import (
    EvaluationRuntimeConfig,
    ResolvedEvaluationRuntime,
    ResolvedRuntime,
    RuntimeConfig,
    SearchRuntimeConfig,
)
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.errors import ConfigError
from medarts_ops.executors.registry import EXECUTORS, resolved_on_ray
from medarts_ops.fitting import fits, fitted_search
from medarts_ops.least_steps import with_least_steps
from medarts_ops.networks.layout import check_stem, resolve_stem
from medarts_ops.objectives.registry import resolve_objectives
from medarts_ops.quantities import counted
from medarts_ops.settings import MATRIX_SIDE, MAX_AT_A_TIME
from medarts_ops.strategies.registry import check_strategy
from medarts_ops.training.at_a_time import available_cores, share_of_cores, stack_that_fits, workers_for
from medarts_ops.training.fastest import fastest_layout, fastest_side, other_sides
from medarts_ops.training.runtime import Device, check_can_compile, fast_amp, make_cublas_repeatable, resolve_devices

_logger = logging.getLogger(__name__)

MOST_SHOWN = 12  # numbers of devices that a message lists


def resolve_search_config(
    config: SearchConfig, data: SearchData | None = None
) -> tuple[ResolvedSearchConfig, SearchData]:
    """A search's settings as this machine gives them, and its images, on which `runtime.stack` and stems depend.

    `data` are what `prepare_search_data(config)` gave, where the caller has them already.

    Raises:
        ConfigError: as `resolve_config_alone`, of which all but stems is before any image is read.
        MedartsError: for whatever is wrong with the data.
    """
    _ = _of_search(config)
    if data is None:
        _say_what_does_not_compare(config)  # once: who has the data has resolved the settings before
        data = prepare_search_data(config)
    config = with_least_steps(config, data)
    found = _of_search(config)
    whole = data.summary.resolution
    seen = data.summary.search_resolution or whole
    resolved = _with_stems(config, found, seen, whole)
    while config.runtime.workers == "auto" and resolved.runtime.workers > 1 and not fits(resolved, data):
        fewer = config.runtime.model_copy(update={"workers": resolved.runtime.workers - 1})
        resolved = _with_stems(config, _of_search(config.model_copy(update={"runtime": fewer})), seen, whole)
    resolved = fitted_search(_stacked(config, resolved, data), data)
    if config.runtime.matrix_side == "auto" and _is_timed(resolved.runtime):
        resolved = _with_fastest_side(config, resolved, data)
    return resolved, data


def _stacked(config: SearchConfig, resolved: ResolvedSearchConfig, data: SearchData) -> ResolvedSearchConfig:
    if config.runtime.stack != "auto":
        return resolved
    return _with_runtime(resolved, stack=1 if config.runtime.elsewhere else stack_that_fits(resolved, data.stages))


def _with_fastest_side(config: SearchConfig, resolved: ResolvedSearchConfig, data: SearchData) -> ResolvedSearchConfig:
    """The same with the matrices that are fastest of those that fit into memory, and as many stacked as fit then."""
    shape, ways = data.stages[0].shape, {MATRIX_SIDE: resolved}
    for side in other_sides(resolved, shape):
        way = _stacked(config, _with_runtime(resolved, matrix_side=side), data)
        if resolved.runtime.memory == "ignore" or fits(way, data):
            ways[side] = way
    return ways[fastest_side(ways, shape)]


def _with_runtime(config: ResolvedSearchConfig, **changed: int) -> ResolvedSearchConfig:
    return config.model_copy(update={"runtime": config.runtime.model_copy(update=changed)})


def _is_timed(runtime: ResolvedRuntime) -> bool:
    """Whether what is fastest is found out by timing: not where equal runs must choose alike, nor for a CPU's bits.

    A cluster's cards differ, and are not at hand.
    """
    return runtime.device != "cpu" and not runtime.deterministic and not runtime.elsewhere


def _say_what_does_not_compare(config: SearchConfig) -> None:
    supernets = of_supernets(each.name for each in config.objectives)
    if supernets and config.result.stages == "all":
        _logger.warning(
            "result.stages is all and objectives has %s, which does not compare between supernets of different sizes "
            "and images: set result.stages to last, or an objective of genotypes, such as derived_accuracy",
            supernets[0],
        )


def resolve_config_alone(config: SearchConfig, resolution: tuple[int, int]) -> ResolvedSearchConfig:
    """The same without the data, of images that are (height, width).

    None is stacked where no stack was asked for, and nothing is timed.

    Raises:
        ConfigError: an unknown strategy, objective or executor, CUDA or a card that is not there, graphs without CUDA,
            `deterministic` in a process where cuBLAS can no longer be, or a stem that images or channels are no match
            for.
    """
    return _with_stems(config, _of_search(config), resolution, resolution)


def _of_search(config: SearchConfig) -> dict[str, Any]:
    """What no image is asked for; as of `resolve_config_alone`."""
    strategy = check_strategy(config)
    objectives = resolve_objectives(config.objectives)
    EXECUTORS.get(config.runtime.executor)
    runtime = resolved_on_ray(config.runtime) if config.runtime.elsewhere else config.runtime
    devices = _devices_of(runtime, most=1 if runtime.executor == "local" else None)
    workers = workers_for(runtime, config.stages, devices)
    found: dict[str, Any] = {
        "workers": workers,
        "stack": 1 if runtime.stack == "auto" else runtime.stack,
        "matrix_side": MATRIX_SIDE if runtime.matrix_side == "auto" else runtime.matrix_side,
        "cuda_graphs": _graphs(runtime, devices[0]),
    }
    asked = dict(runtime) | found | _of_machine(runtime, _in_use(runtime, devices, workers), workers)
    return {"strategy": strategy, "objectives": objectives, "runtime": asked}


def _with_stems(
    config: SearchConfig, found: dict[str, Any], seen: tuple[int, int], whole: tuple[int, int]
) -> ResolvedSearchConfig:
    """Settings with stems for images that supernets see at one resolution, and networks that are counted at another."""
    stem = resolve_stem(config.stem, seen)
    for number, stage in enumerate(config.stages):
        check_stem(stem, stage.channels, seen, f"stages.{number}.")
    if config.trains_genotypes:
        check_stem(stem, config.derived.channels, seen, "derived.")
    # The network that is counted is the one that an evaluation trains.
    counted = config.para_aug.stem if config.stem == "auto" or config.para_aug.stem != "auto" else config.stem
    para_aug = dict(config.para_aug) | {"stem": resolve_stem(counted, whole)}
    return ResolvedSearchConfig.model_validate(dict(config) | found | {"stem": stem, "para_aug": para_aug})


def resolve_evaluation(
    config: EvaluateConfig, dataset: ImageDataset | None = None, *, side_by_side: bool = False
) -> tuple[ResolvedEvaluateConfig, ImageDataset]:
    """An evaluation's settings as this machine gives them, and its images, on which the stem depends.

    `dataset` is what `load_dataset(config.dataset)` gave, where the caller has it already. Several that are trained
    `side_by_side` may have more cards than one of them takes.

    Raises:
        ConfigError: as `resolve_evaluate_config`, before any image is read; or a card that would be idle.
        MedartsError: for whatever is wrong with the data.
    """
    _ = _of_evaluation(config)
    cards, devices = len(config.runtime.device_names), config.runtime.devices
    if cards > devices and not side_by_side:
        raise ConfigError(
            f"runtime.device is {config.runtime.device!r} and runtime.devices {devices}: a card would be idle; allowed "
            f"is one name for each device; set --devices {cards}, or name fewer"
        )
    dataset = load_dataset(config.dataset) if dataset is None else dataset
    resolved = resolve_evaluate_config(config, dataset.resolution)
    if config.runtime.channels_last == "auto" and _is_timed(resolved.runtime) and _may_be_planes(config.runtime):
        resolved = _with_fastest_layout(config, resolved, dataset)
    return resolved, dataset


def _may_be_planes(runtime: EvaluationRuntimeConfig) -> bool:
    """Whether channels-last is a choice: paths together lie so, and a compiled step would take minutes to time."""
    return runtime.paths_together != "on" and not runtime.compile


def _with_fastest_layout(
    config: EvaluateConfig, resolved: ResolvedEvaluateConfig, dataset: ImageDataset
) -> ResolvedEvaluateConfig:
    planes = resolve_runtime(config.runtime.model_copy(update={"channels_last": False}))
    ways = {True: resolved.runtime, False: planes}
    return resolved.model_copy(update={"runtime": fastest_layout(resolved, ways, dataset.shape)})


def resolve_evaluate_config(config: EvaluateConfig, resolution: tuple[int, int]) -> ResolvedEvaluateConfig:
    """The same without the data, of images that are (height, width); nothing is timed.

    Raises:
        ConfigError: as for a search's runtime; or halved images, which a search alone has.
    """
    found = _of_evaluation(config) | {"stem": resolve_stem(config.stem, resolution)}
    return ResolvedEvaluateConfig.model_validate(dict(config) | found)


def _of_evaluation(config: EvaluateConfig) -> dict[str, Any]:
    if config.dataset.low_resolution:
        raise ConfigError(
            "dataset.low_resolution is true: only a search halves its images, allowed is false in an evaluation; to "
            "train on smaller ones set dataset.resolution, such as 16"
        )
    _check_is_divided(config)
    return {"runtime": resolve_runtime(config.runtime)}


def on_devices(config: ResolvedEvaluateConfig, devices: int) -> ResolvedEvaluateConfig:
    """The settings of an evaluation that goes on with another number of devices; a ConfigError as for a new one.

    They are the first of its own; where it has too few, as many cards as there are.
    """
    named = config.runtime.device_names
    device = ",".join(named[:devices]) if devices <= len(named) or named == ("cpu",) else "cuda"
    changed = dict(config.runtime) | {"devices": devices, "device": device}
    runtime = parse_config(EvaluationRuntimeConfig, changed, "runtime")
    return config.model_copy(update=_of_evaluation(config.model_copy(update={"runtime": runtime})))


def resolve_runtime(runtime: EvaluationRuntimeConfig) -> ResolvedEvaluationRuntime:
    """A runtime as this machine, or the cluster, gives it to one training; raises as for a search's.

    A ConfigError, too, for more devices than there are.
    """
    EXECUTORS.get(runtime.executor)
    if runtime.devices > 1 and runtime.executor not in ("auto", "local"):
        raise ConfigError(
            f"runtime.devices is {runtime.devices} and runtime.executor {runtime.executor!r}, which gives each "
            "training one device: allowed are auto and local, or one device; set --devices 1 or leave --executor out"
        )
    runtime = resolved_on_ray(runtime) if runtime.elsewhere else runtime
    devices = _devices_of(runtime, most=runtime.devices, together=runtime.devices)
    if runtime.devices > 1 and devices[0].type != "cpu" and len(devices) != runtime.devices:
        raise ConfigError(
            f"runtime.devices is {runtime.devices} and there are {counted(len(devices), 'card')} for it "
            f"({', '.join(map(str, devices))}): allowed are as many; set --devices {len(devices)} "
            "(`medarts resume` takes it, too) or name others by --device"
        )
    _check_compiles(runtime, devices[0])
    found = _of_machine(runtime, devices, workers=runtime.devices)
    graphs = _graphs(runtime, devices[0])
    steps = {"cuda_graphs": graphs, "paths_together": _paths_together(runtime, devices[0], graphs)}
    return ResolvedEvaluationRuntime.model_validate(dict(runtime) | found | steps)


def _check_compiles(runtime: EvaluationRuntimeConfig, device: Device) -> None:
    if not runtime.compile:
        return
    if runtime.devices > 1:
        raise ConfigError(
            f"runtime.compile is true and runtime.devices {runtime.devices}: one device alone compiles its step; leave "
            "--compile out, or take one device"
        )
    if runtime.checkpoint_cells:
        raise ConfigError(
            "runtime.compile and runtime.checkpoint_cells are both true: a compiled step chooses by itself what it "
            "computes again; give one of --compile and --checkpoint-cells"
        )
    if not runtime.elsewhere:
        check_can_compile(device)


def _paths_together(runtime: EvaluationRuntimeConfig, device: Device, graphs: str) -> str:
    wish = runtime.paths_together
    if wish == "on" and not runtime.channels_last:
        raise ConfigError(
            "runtime.paths_together is 'on' and runtime.channels_last is false: paths lie side by side in that layout "
            "alone; say auto or off, or leave runtime.channels_last true"
        )
    if wish == "on" and runtime.compile:
        raise ConfigError(
            "runtime.paths_together is 'on' and runtime.compile is true: a compiler puts together what it sees, and "
            "sees less so; say auto or off, or leave --compile out"
        )
    launches_cost = device.type == "cuda" and graphs == "off" and not runtime.compile
    return wish if wish != "auto" else "on" if launches_cost and runtime.channels_last else "off"


def _check_is_divided(config: EvaluateConfig) -> None:
    batch, devices = config.batch, config.runtime.devices
    if batch % devices:
        allowed = [str(n) for n in range(1, min(batch, MAX_AT_A_TIME) + 1) if batch % n == 0]
        shown = ", ".join(allowed if len(allowed) <= MOST_SHOWN else [*allowed[:MOST_SHOWN], "…"])
        below, above = batch // devices * devices, -(-batch // devices) * devices
        others = f"{below} or {above}" if below else str(above)
        raise ConfigError(
            f"runtime.devices is {devices} and batch {batch}, of which each device takes an equal part: allowed are "
            f"{shown} devices, or a batch of {others}, say; set --devices or batch"
        )


def _devices_of(runtime: RuntimeConfig, most: int | None, together: int = 1) -> tuple[Device, ...]:
    """Where is computed: several cards where they are named, or of all that there are up to `most`.

    A training takes as many `together`.
    """
    named = runtime.device_names
    if len(named) > together and runtime.executor in ("local", "ray"):
        whose = "this process trains on one" if runtime.executor == "local" else "Ray gives each task a card of its own"
        raise ConfigError(
            f"runtime.device is {runtime.device!r} and runtime.executor is {runtime.executor!r}: {whose}; allowed is "
            "one device, or another executor"
        )
    devices = (Device(runtime.device),) if runtime.elsewhere else resolve_devices(named, most)
    if runtime.deterministic and devices[0].type == "cuda":
        make_cublas_repeatable()  # first of all: asking for a card's capability starts CUDA
    return devices


def _in_use(runtime: RuntimeConfig, devices: tuple[Device, ...], workers: int) -> tuple[Device, ...]:
    """The cards that so many workers take in turn; a ConfigError if one that was named is left over."""
    if runtime.executor == "ray":
        return devices[:1]  # by which each task calls the card that it is given
    if len(runtime.device_names) > workers:
        raise ConfigError(
            f"runtime.device is {runtime.device!r} and runtime.workers is {workers}, or the largest stage has as few "
            f"individuals: a card would be idle; allowed are up to {workers} cards, or more workers"
        )
    return devices[:workers]


def _of_machine(runtime: RuntimeConfig, devices: tuple[Device, ...], workers: int) -> dict[str, Any]:
    amp = fast_amp(*devices) if runtime.amp == "auto" else runtime.amp
    threads = share_of_cores(available_cores(), workers) if runtime.threads == "auto" else runtime.threads
    last = runtime.channels_last == "auto" or runtime.channels_last
    return {"device": ",".join(map(str, devices)), "amp": amp, "threads": threads, "channels_last": last}


def _graphs(runtime: SearchRuntimeConfig | EvaluationRuntimeConfig, device: Device) -> str:
    wish, together = runtime.cuda_graphs, getattr(runtime, "devices", 1)
    if wish == "auto" and (runtime.deterministic or together > 1):
        # The deterministic form of an indexed sum sorts and checks its indices, which a capture need not bear.
        return "off"
    if wish == "on" and together > 1:
        raise ConfigError(
            f"runtime.cuda_graphs is 'on' and runtime.devices is {together}: a graph holds no exchange of gradients; "
            "say auto or off, or take one device"
        )
    if wish == "on" and device.type != "cuda":
        raise ConfigError(
            f"runtime.cuda_graphs is 'on' and the device is {str(device)!r}: only CUDA has graphs; say auto or off"
        )
    return "off" if device.type != "cuda" or wish == "off" else "on"
