"""A driving process that is a client of its cluster (`ray://`): a death costs it no more than where it is a part."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import psutil
import pytest
from client_of_ray import long_enough, search_as_client, training_below
from mlflow_server import free_port

from medarts_ops.search import SearchResult, run_search

pytestmark = pytest.mark.faults


class Head:
    """The head of a cluster of two CPUs, with whatever runs on it below it."""

    def __init__(self) -> None:
        self._client_port = free_port()
        words = ["--head", "--block", f"--port={free_port()}", f"--ray-client-server-port={self._client_port}"]
        self._process = psutil.Popen(
            [Path(sys.executable).with_name("ray"), "start", *words, "--num-cpus=2", "--include-dashboard=false"],
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def address(self) -> str:
        return f"ray://127.0.0.1:{self._client_port}"

    def training(self) -> list[psutil.Process]:
        return training_below(self._process)

    def wait(self) -> None:
        """Wait until it says that it runs; before that it drops clients."""
        for line in self._process.stdout:
            if "Ray runtime started" in line:
                return
        raise RuntimeError("Ray's head did not start")

    def end(self) -> None:
        below = self._process.children(recursive=True)
        self._process.terminate()
        psutil.wait_procs([self._process, *below], timeout=20)
        for process in (self._process, *below):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    made = Head()
    try:
        made.wait()
        yield made
    finally:
        made.end()


def begun(head: Head, epochs: int, folder: Path) -> tuple[SpawnProcess, Connection]:
    context = get_context("spawn")
    hear, say = context.Pipe(duplex=False)
    driver = context.Process(target=search_as_client, args=(head.address, epochs, folder, say))
    driver.start()
    say.close()
    return driver, hear


def test_a_process_that_dies_costs_epochs_and_the_result_has_the_same_bits(head: Head, tmp_path: Path) -> None:
    driver, hear = begun(head, 6, tmp_path / "client")
    told, killed = 0, 0
    while not isinstance(heard := hear.recv(), SearchResult):
        told += 1
        if told == 3:
            for process in head.training():
                process.kill()
                killed += 1
    driver.join()
    expected = run_search(long_enough(6), tmp_path / "local")
    assert killed == 2 and not any(stage.failed for stage in heard.stages)
    for ours, theirs in zip(heard.stages, expected.stages, strict=True):
        assert [one.trained.alpha for one in ours.ranked] == [one.trained.alpha for one in theirs.ranked]


def test_who_trains_ends_when_the_client_is_killed(head: Head, tmp_path: Path) -> None:
    driver, hear = begun(head, 2000, tmp_path)
    hear.recv()
    assert head.training()
    driver.kill()
    driver.join()
    deadline = time.monotonic() + 90  # Ray waits half a minute for a client that lost its connection
    while head.training() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert head.training() == []
