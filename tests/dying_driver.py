"""Jobs whose driver kills itself in mid epoch, in a module that a spawned process can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from factories import make_evaluate_config_tiny, make_genotype, make_search_config_tiny, make_search_runtime

from medarts_ops.evaluation import run_evaluation
from medarts_ops.observers import EpochFinished, EvaluationEpochFinished, EvaluationEvent, SearchEvent
from medarts_ops.resolving import on_devices
from medarts_ops.search import run_search


class DiesWithTheFirstEpoch:
    """Says who its workers are and kills its process, while each of them is in an epoch that takes seconds."""

    def __init__(self, say: Connection) -> None:
        self._say = say

    def notify(self, event: SearchEvent | EvaluationEvent) -> None:
        if isinstance(event, EpochFinished | EvaluationEpochFinished):
            self._say.send([child.pid for child in active_children()])
            os.kill(os.getpid(), signal.SIGKILL)


def search(folder: Path, say: Connection) -> None:
    tiny = make_search_config_tiny()
    first = tiny.stages[0].model_copy(update={"cells": 4, "epochs": 50, "images": 500, "batch": 10, "population": 2})
    runtime = make_search_runtime(workers=2)
    config = tiny.model_copy(update={"stages": (first, *tiny.stages[1:]), "runtime": runtime})
    run_search(config, folder, observers=[DiesWithTheFirstEpoch(say)])


def evaluate_on_two(folder: Path, say: Connection) -> None:
    config = on_devices(make_evaluate_config_tiny().model_copy(update={"epochs": 50, "batch": 16}), 2)
    run_evaluation(
        config, make_genotype("sep_conv_3x3", nodes=2), folder=folder, observers=[DiesWithTheFirstEpoch(say)]
    )


def outlived(job: Callable[[Path, Connection], None], folder: Path) -> tuple[int | None, int, float]:
    """How a driver ended that carried out the job, how many workers it had, and for how many seconds they went on."""
    context = get_context("spawn")
    hear, say = context.Pipe(duplex=False)
    driver = context.Process(target=job, args=(folder, say))
    driver.start()
    say.close()
    workers: list[int] = hear.recv()
    driver.join()
    died = time.monotonic()
    while any(map(is_alive, workers)) and time.monotonic() < died + 60:
        time.sleep(0.05)
    return driver.exitcode, len(workers), time.monotonic() - died


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
