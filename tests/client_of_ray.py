"""A search that is a client of a cluster of Ray, for a process that is spawned, and who trains there."""

from __future__ import annotations

import contextlib
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from factories import make_search_config_tiny, make_search_runtime

from medarts_ops.config import SearchConfig
from medarts_ops.config_runtime import RayConfig
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.search import SearchResult, run_search


def training_below(process: psutil.Process) -> list[psutil.Process]:
    """Those of Ray's processes below this one that carry out a task; they say so in their titles."""
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "".join(child.cmdline()).startswith("ray::carried_out"):
                found.append(child)
    return found


def long_enough(epochs: int) -> SearchConfig:
    """A tiny search of so many epochs a stage, so that there is a middle of it."""
    tiny = make_search_config_tiny()
    return tiny.model_copy(
        update={"stages": tuple(stage.model_copy(update={"epochs": epochs}) for stage in tiny.stages)}
    )


class _Tells:
    def __init__(self, say: Connection) -> None:
        self._say = say

    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, EpochFinished):
            self._say.send(event.record.epoch)


def search_as_client(address: str, epochs: int, folder: Path, say: Connection) -> None:
    """Search on the cluster there; say each epoch that is told, and the result at the end."""
    runtime = make_search_runtime(workers=2, executor="ray", ray=RayConfig(address=address))
    config = long_enough(epochs).model_copy(update={"runtime": runtime})
    result: SearchResult = run_search(config, folder, observers=[_Tells(say)])
    say.send(result)
