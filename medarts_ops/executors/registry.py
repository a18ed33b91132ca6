"""The executors by name."""

from __future__ import annotations

from collections.abc import Callable

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.errors import ConfigError
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.executors.protocol import Executor
from medarts_ops.registry import Registry


def _by_workers(runtime: ResolvedSearchRuntime) -> Executor:
    """This process for one worker, a pool of processes for more."""
    return LocalExecutor(runtime) if runtime.workers == 1 else ProcessExecutor(runtime)


EXECUTORS = Registry[Callable[[ResolvedSearchRuntime], Executor]](
    "executor",
    "runtime.executor",
    "medarts_ops.executors",
    {"auto": _by_workers, "local": LocalExecutor, "processes": ProcessExecutor},
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
