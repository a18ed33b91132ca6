"""How threads wait for each other is set before anything that computes is loaded, and left to whoever says it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path

import pytest
from factories import make_search_runtime

from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.openmp import SPINS, wait_in_short_spins

VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
COMMAND = (
    "import sys; from medarts_ops.cli import main; "
    "main.medarts.main = lambda **_: sys.exit(__import__('torch') is None); main.main()"
)
"""The `medarts` command with a verb that does nothing but import torch."""


def test_what_the_user_says_of_waiting_stays() -> None:
    for said in ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}):
        environment = dict(said)
        wait_in_short_spins(environment)
        assert environment == said
    environment = {"OMP_NUM_THREADS": "2"}
    wait_in_short_spins(environment)
    assert environment == {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": str(SPINS)}


@pytest.mark.parametrize(("said", "spins"), [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, 7)])
def test_the_command_sets_it_before_the_library_is_loaded(said: dict[str, str], spins: int) -> None:
    others = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment = others | said | {"OMP_DISPLAY_ENV": "VERBOSE"}
    done = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    read = set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr))
    if not read:
        pytest.skip("torch computes here with another OpenMP than GNU's")
    assert read == {str(spins)}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see the environment of others")
def test_workers_of_the_python_interface_have_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    executor = ProcessExecutor(make_search_runtime(workers=2))
    try:
        worker = executor._start().process
        assert worker in active_children()
        while not (told := Path(f"/proc/{worker.pid}/environ").read_bytes()):  # until the new program is there
            assert worker.is_alive()
        environment = told.split(b"\0")
        assert f"GOMP_SPINCOUNT={SPINS}".encode() in environment
    finally:
        executor.close()
