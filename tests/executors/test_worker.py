"""What a worker process does when its driver is gone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from dying_driver import outlived, search

SECONDS = 2.0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes of others")
def test_workers_end_within_two_seconds_of_a_driver_that_was_killed(tmp_path: Path) -> None:
    ended, workers, seconds = outlived(search, tmp_path)
    assert (ended, workers) == (-signal.SIGKILL, 2)
    assert seconds < SECONDS, f"they went on for {seconds:.1f} s"
