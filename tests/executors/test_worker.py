"""What a worker process does when its driver is gone."""

from __future__ import annotations

import signal
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from dying_driver import is_alive, search

SECONDS = 2.0


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
