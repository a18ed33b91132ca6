"""What tests of several rooms share: their files in memory, and a database with MLflow's tables, made in seconds."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# Before torch is imported: its threads wait by spinning, which on a busy machine costs far more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
"""Bytes that must be free in `MEMORY`: what all tests keep at a time is a small part of it."""


def _keep_files_in_memory() -> None:
    """Let `tmp_path` and all temporary files lie in memory, unless TMPDIR names a place or there is little room.

    A search commits to SQLite and syncs its journal hundreds of times, and a disk takes some milliseconds each time.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    runs_programs = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    if runs_programs and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # the first for processes, the second as it is read once


_keep_files_in_memory()

# A shell's job in the background ignores Ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them, to be copied."""
    from medarts_ops.tracking.stores.opening import open_store

    file = tmp_path_factory.mktemp("mlflow-template") / "mlflow.db"
    open_store(f"sqlite:///{file}")
    return file
