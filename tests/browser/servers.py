"""The pages that a search can be looked at on: MLflow's as `medarts ui` serves them, and Optuna's dashboard."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mlflow_server import free_port

PATIENCE = 90.0
"""Seconds that a server may take to answer: MLflow's takes ten, and machines are busy."""

MEDARTS = (sys.executable, "-c", "from medarts_ops.cli.main import main; main()")


class Pages(NamedTuple):
    """MLflow's pages: where they are, and the link that `medarts ui` printed."""

    url: str
    link: str


@contextmanager
def mlflow_pages(tracking_uri: str) -> Iterator[Pages]:
    """`medarts ui` on a store, on a free port, until the block ends."""
    port = free_port()
    words = [*MEDARTS, "ui", "--port", str(port), "--tracking-uri", tracking_uri]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            link = running.stdout.readline().strip()
            _wait(running, f"http://127.0.0.1:{port}/health")
            yield Pages(f"http://127.0.0.1:{port}", link)
        finally:
            running.send_signal(signal.SIGINT)  # as Ctrl-C: it ends MLflow's processes, too


@contextmanager
def optuna_pages(storage: str) -> Iterator[str]:
    """The address of Optuna's dashboard on a storage, on a free port, until the block ends."""
    port = free_port()
    script = Path(sys.executable).with_name("optuna-dashboard")
    words = [script, storage, "--port", str(port), "--quiet"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            _wait(running, f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}/dashboard/"
        finally:
            running.terminate()


def _wait(process: subprocess.Popen[str] | subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert process.poll() is None, f"the server of {url} ended by itself"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError(f"{url} did not answer within {PATIENCE:g} s")
