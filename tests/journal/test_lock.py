"""One process at a time works on a search."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medarts_ops.errors import SearchError
from medarts_ops.journal.lock import search_lock

HOLD = (
    "import sys, time; from pathlib import Path; from medarts_ops.journal.lock import search_lock\n"
    "with search_lock(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
)


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_with_pid_and_host_of_the_first(tmp_path):
    with holder(tmp_path) as first:
        with pytest.raises(SearchError, match=rf"process {first.pid} on '{os.uname().nodename}'"):
            with search_lock(tmp_path):
                pass
        first.kill()


def test_a_killed_holder_leaves_nothing_locked(tmp_path):
    with holder(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
    with search_lock(tmp_path), pytest.raises(SearchError, match=f"process {os.getpid()}"):
        with search_lock(tmp_path):
            pass
    with search_lock(tmp_path):
        pass


def test_a_lock_file_that_says_nonsense_locks_no_one_out(tmp_path):
    (tmp_path / "lock").write_text("{")
    with search_lock(tmp_path):
        pass
