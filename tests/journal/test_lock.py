"""One process at a time works on a search."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medarts_ops.errors import SearchError
from medarts_ops.journal.lock import job_lock

HOLD = (
    "import sys, time; from pathlib import Path; from medarts_ops.journal.lock import job_lock\n"
    "with job_lock(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
)


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_with_pid_and_host_of_the_first(tmp_path):
    with holder(tmp_path) as first:
        with pytest.raises(SearchError, match=rf"process {first.pid} on '{os.uname().nodename}'"):
            with job_lock(tmp_path):
                pass
        first.kill()


def test_a_killed_holder_leaves_nothing_locked(tmp_path):
    with holder(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
    with job_lock(tmp_path), pytest.raises(SearchError, match=f"process {os.getpid()}"):
        with job_lock(tmp_path):
            pass
    with job_lock(tmp_path):
        pass


@pytest.mark.parametrize("note", [b"{", b"", b"\xff", b"[" * 10**6, b'{"pid": 1e999, "host": "h"}', b'{"pid": null}'])
def test_a_lock_file_that_says_nonsense_locks_no_one_out(tmp_path, note):
    (tmp_path / "lock").write_bytes(note)
    with job_lock(tmp_path):
        (tmp_path / "lock").write_bytes(note)
        with pytest.raises(SearchError, match="is at work in another process: wait for it"), job_lock(tmp_path):
            pass


def test_the_lock_file_says_only_who_holds_it_now(tmp_path):
    (tmp_path / "lock").write_text("x" * 500)
    with job_lock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text()) == {"pid": os.getpid(), "host": os.uname().nodename}


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_not_taken_for_another_process(tmp_path, monkeypatch, code):
    def refuse(file: object, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SearchError, match=f"can't be locked: {os.strerror(code)}; move the work directory") as caught:
        with job_lock(tmp_path):
            pass
    assert "at work" not in str(caught.value)


def test_a_folder_in_the_place_of_the_lock_is_an_error(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(SearchError, match="can't be written: Is a directory; free some space or mend the folder"):
        with job_lock(tmp_path):
            pass
