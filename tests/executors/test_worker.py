"""What a worker process does when its driver is gone."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from factories import make_search_config_tiny, make_search_runtime

from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.search import run_search

SECONDS = 2.0


class DiesWithTheFirstEpoch:
    """Says who its workers are and kills its process, while each of them is in an epoch that takes seconds."""

    def __init__(self, say: Connection) -> None:
        self._say = say

    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, EpochFinished):
            self._say.send([child.pid for child in active_children()])
            os.kill(os.getpid(), signal.SIGKILL)


def search(folder: Path, say: Connection) -> None:
    tiny = make_search_config_tiny()
    first = tiny.stages[0].model_copy(update={"cells": 4, "epochs": 50, "images": 500, "batch": 10, "population": 2})
    runtime = make_search_runtime(workers=2)
    config = tiny.model_copy(update={"stages": (first, *tiny.stages[1:]), "runtime": runtime})
    run_search(config, folder, observers=[DiesWithTheFirstEpoch(say)])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes of others")
def test_workers_end_within_two_seconds_of_a_driver_that_was_killed(tmp_path: Path) -> None:
    context = get_context("spawn")
    hear, say = context.Pipe(duplex=False)
    driver = context.Process(target=search, args=(tmp_path, say))
    driver.start()
    say.close()
    workers: list[int] = hear.recv()
    driver.join()
    died = time.monotonic()
    while any(map(is_alive, workers)) and time.monotonic() < died + 60:
        time.sleep(0.05)
    outlived = time.monotonic() - died
    assert (driver.exitcode, len(workers)) == (-signal.SIGKILL, 2)
    assert outlived < SECONDS, f"they went on for {outlived:.1f} s"
