"""A tracked search in a process of its own that kills itself at a chosen call: a power loss to order."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from functools import wraps
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from factories import make_evaluate_config_tiny, make_search_config_tiny

from medarts_ops.config import (
    ProposalsConfig,
    RangeConfig,
    SearchConfig,
)


def search_config() -> SearchConfig:
    """Two epochs an individual and two rounds of proposals, so that there is a middle of everything."""
    tiny = make_search_config_tiny()
    stages = tuple(stage.model_copy(update={"epochs": 2}) for stage in tiny.stages)
    proposals = ProposalsConfig(space={"alpha_lr": RangeConfig(low=3e-4, high=6e-3)}, generations=2)
    return tiny.model_copy(update={"stages": stages, "proposals": proposals})


def die_at_call(target: str, at: int, *, after: bool) -> None:
    """SIGKILL this process at the `at`-th call of `module:Class.function`, before or after it did its work."""
    module_name, _, path = target.partition(":")
    holder: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    original: Callable[..., Any] = getattr(holder, name)
    calls = [0]

    @wraps(original)
    def counted(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, counted)


def search_in(folder: Path, target: str | None, at: int, after: bool) -> None:
    """Run the search `mine` with stores and work directory in `folder`; die on the way if a target is named."""
    import torch

    from medarts_ops.tracking.search import tracked_search

    torch.set_num_threads(1)
    if target is not None:
        die_at_call(target, at, after=after)
    tracked_search(search_config(), name="mine", pictures=False, **stores(folder))


def stores(folder: Path) -> dict[str, Any]:
    """Where a search in `folder` keeps everything."""
    return {
        "tracking_uri": f"sqlite:///{folder}/mlflow.db",
        "storage": f"sqlite:///{folder}/optuna.db",
        "work_dir": folder / "work",
    }


HEAVY = [
    "medarts_ops.tracking.resume",
    "medarts_ops.tracking.stores.run_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages._rdb.storage",
    "alembic.command",
    "sklearn.datasets",
    "torch._dynamo",  # which the first optimizer imports
]
"""What a job imports on its way, and what takes longer than the job."""


def exit_code_of(function: Callable[..., None], *arguments: Any) -> int | None:
    """Run `function` in a fresh process that has the heavy imports behind it, and say how it ended."""
    return in_child(function, *arguments)[0]


def in_child(function: Callable[..., Any], *arguments: Any) -> tuple[int | None, Any]:
    """As `exit_code_of`, and what the function gave, None if its process did not live to say it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    hear, say = context.Pipe(duplex=False)
    process = context.Process(target=_say, args=(say, function, arguments))
    process.start()
    say.close()
    try:
        said = hear.recv()
    except EOFError:
        said = None
    hear.close()
    process.join()
    return process.exitcode, said


def _say(say: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # MLflow checks itself where it sees that, and takes longer
    said = function(*arguments)
    say.send(said)


EVALUATION = make_evaluate_config_tiny()
