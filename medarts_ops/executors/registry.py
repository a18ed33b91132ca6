"""Which executor a runtime asks for."""

from __future__ import annotations

from medarts_ops.config import SearchRuntimeConfig
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.executors.protocol import Executor


def build_executor(config: SearchRuntimeConfig) -> Executor:
    """This process for one worker, a pool of processes for more."""
    return LocalExecutor(config) if config.workers == 1 else ProcessExecutor(config)
