"""How the threads that torch computes with on a CPU wait for each other."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPINS = 20_000
"""Turns of a loop, some tenths of a millisecond, in which a thread waits for another before it sleeps (measured).

By itself it would spin 15 times as long. On a busy machine it waits for one that doesn't run, and takes its core.
"""


def wait_in_short_spins(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set `GOMP_SPINCOUNT`, unless the user says how threads wait; for this process and those that it starts.

    It is read by libgomp, which torch's wheels for Linux bring, when that is loaded: where torch is imported already it
    is for processes that are started later. No number depends on it.
    """
    if not environment.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        environment["GOMP_SPINCOUNT"] = str(SPINS)
