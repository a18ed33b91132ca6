"""The executors by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from medarts_ops.config_runtime import ResolvedSearchRuntime, RuntimeConfig
from medarts_ops.errors import ConfigError
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.executors.protocol import Executor
from medarts_ops.registry import Registry

AnyRuntime = TypeVar("AnyRuntime", bound=RuntimeConfig)


def _by_workers(runtime: ResolvedSearchRuntime) -> Executor:
    """This process for one worker, a pool of processes for more."""
    return LocalExecutor(runtime) if runtime.workers == 1 else ProcessExecutor(runtime)


def _on_ray(runtime: ResolvedSearchRuntime) -> Executor:
    """Ray, which takes seconds to import and is an extra."""
    with _ray_installed():
        from medarts_ops.executors.on_ray.executor import RayExecutor
    return RayExecutor(runtime)


def resolved_on_ray(runtime: AnyRuntime) -> AnyRuntime:
    """A runtime as the cluster that it names gives it; ConfigError if that has no place for a task of it."""
    with _ray_installed():
        from medarts_ops.executors.on_ray.cluster import resolved_there
    return resolved_there(runtime)


@contextmanager
def _ray_installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError(
            "runtime.executor is 'ray' and Ray is not installed: pip install 'medarts-ops[ray]', or choose another"
        ) from None


EXECUTORS = Registry[Callable[[ResolvedSearchRuntime], Executor]](
    "executor",
    "runtime.executor",
    "medarts_ops.executors",
    {"auto": _by_workers, "local": LocalExecutor, "processes": ProcessExecutor, "ray": _on_ray},
)


def build_executor(runtime: ResolvedSearchRuntime) -> Executor:
    """The executor that `runtime.executor` names; a ConfigError if there is none of that name, or it gives none."""
    executor: object = EXECUTORS.get(runtime.executor)(runtime)
    if not isinstance(executor, Executor):
        kind = type(executor).__name__
        raise ConfigError(
            f"runtime.executor: executor {runtime.executor!r} gives a {kind}: allowed is what has run and close"
        )
    return executor
