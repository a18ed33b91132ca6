"""How long a training may take, epoch by epoch."""

from __future__ import annotations

import time


class TimeLimit:
    """Ends a training after the last epoch that fits into `seconds` from now on; None never does.

    The first epoch is always trained: without one there is no result.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds, self._began = seconds, time.monotonic()
        self._lap: float | None = None
        self._longest = 0.0

    def allows(self, done: int) -> bool:
        """Whether one more epoch fits after `done` of them, if it takes as long as the longest so far."""
        passed = time.monotonic() - self._began
        if self._lap is not None:
            self._longest = max(self._longest, passed - self._lap)
        self._lap = passed
        return self._seconds is None or done == 0 or passed + self._longest <= self._seconds
