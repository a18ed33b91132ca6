"""Settings resolved, once, before anything is trained or stored: no `auto`, no direction left open, no unknown name."""

from __future__ import annotations

from typing import Any

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, ResolvedSearchConfig, SearchConfig
from medarts_ops.config_runtime import ResolvedRuntime, RuntimeConfig, SearchRuntimeConfig
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.errors import ConfigError
from medarts_ops.executors.registry import EXECUTORS
from medarts_ops.fitting import fits, fitted_search
from medarts_ops.objectives.registry import resolve_objectives
from medarts_ops.strategies.registry import check_strategy
from medarts_ops.training.at_a_time import available_cores, stack_that_fits, workers_for
from medarts_ops.training.runtime import Device, fast_amp, make_cublas_repeatable, resolve_device


def resolve_search_config(
    config: SearchConfig, data: SearchData | None = None
) -> tuple[ResolvedSearchConfig, SearchData]:
    """A search's settings as this machine gives them, and its images, which `runtime.stack` depends on.

    `data` are what `prepare_search_data(config)` gave, where the caller has them already.

    Raises:
        ConfigError: as `resolve_config_alone`, before any image is read.
        MedartsError: for whatever is wrong with the data.
    """
    resolved = resolve_config_alone(config)
    data = prepare_search_data(config) if data is None else data
    while config.runtime.workers == "auto" and resolved.runtime.workers > 1 and not fits(resolved, data):
        fewer = config.runtime.model_copy(update={"workers": resolved.runtime.workers - 1})
        resolved = resolve_config_alone(config.model_copy(update={"runtime": fewer}))
    if config.runtime.stack == "auto":
        stack = {"stack": stack_that_fits(resolved, data.stages)}
        resolved = resolved.model_copy(update={"runtime": resolved.runtime.model_copy(update=stack)})
    return fitted_search(resolved, data), data


def resolve_config_alone(config: SearchConfig) -> ResolvedSearchConfig:
    """A search's settings as this machine gives them; individuals are trained alone where no stack was asked for.

    Raises:
        ConfigError: an unknown strategy, objective or executor, CUDA or a card that is not there, graphs without CUDA,
            or `deterministic` in a process where cuBLAS can no longer be.
    """
    strategy = check_strategy(config)
    objectives = resolve_objectives(config.objectives)
    EXECUTORS.get(config.runtime.executor)
    runtime = config.runtime
    device = _device_of(runtime)
    workers = workers_for(runtime, config.stages, device)
    found: dict[str, Any] = {
        "workers": workers,
        "stack": 1 if runtime.stack == "auto" else runtime.stack,
        "cuda_graphs": _graphs(runtime, device),
    }
    asked = dict(runtime) | found | _of_machine(runtime, device, workers)
    return ResolvedSearchConfig.model_validate(
        dict(config) | {"strategy": strategy, "objectives": objectives, "runtime": asked}
    )


def resolve_evaluate_config(config: EvaluateConfig) -> ResolvedEvaluateConfig:
    """An evaluation's settings as this machine gives them.

    Raises:
        ConfigError: as for a search's runtime; or halved images, which a search alone has.
    """
    if config.dataset.low_resolution:
        raise ConfigError(
            "dataset.low_resolution is true: only a search halves its images, allowed is false in an evaluation; to "
            "train on smaller ones set dataset.resolution, such as 16"
        )
    return ResolvedEvaluateConfig.model_validate(dict(config) | {"runtime": resolve_runtime(config.runtime)})


def resolve_runtime(runtime: RuntimeConfig) -> ResolvedRuntime:
    """A runtime as this machine gives it to one process; raises as for a search's."""
    return ResolvedRuntime.model_validate(dict(runtime) | _of_machine(runtime, _device_of(runtime), workers=1))


def _device_of(runtime: RuntimeConfig) -> Device:
    device = resolve_device(runtime.device)
    if runtime.deterministic and device.type == "cuda":
        make_cublas_repeatable()  # first of all: asking for a card's capability starts CUDA
    return device


def _of_machine(runtime: RuntimeConfig, device: Device, workers: int) -> dict[str, Any]:
    amp = fast_amp(device) if runtime.amp == "auto" else runtime.amp
    threads = max(1, available_cores() // workers) if runtime.threads == "auto" else runtime.threads
    return {"device": str(device), "amp": amp, "threads": threads}


def _graphs(runtime: SearchRuntimeConfig, device: Device) -> str:
    wish = runtime.cuda_graphs
    if wish == "auto" and runtime.deterministic:
        # The deterministic form of an indexed sum sorts and checks its indices, which a capture need not bear.
        return "off"
    if wish == "on" and device.type != "cuda":
        raise ConfigError(
            f"runtime.cuda_graphs is 'on' and the device is {str(device)!r}: only CUDA has graphs; say auto or off"
        )
    return "off" if device.type != "cuda" or wish == "off" else "on"
