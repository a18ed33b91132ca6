"""How long a training may take, epoch by epoch."""

from __future__ import annotations

import time

from medarts_ops.training.ranks import ALONE, Ranks


class TimeLimit:
    """Ends a training after the last epoch that fits into `seconds` from now on; None never does.

    The first epoch is always trained: without one there is no result. Of several `ranks` the first one's clock counts.
    """

    def __init__(self, seconds: float | None, ranks: Ranks = ALONE) -> None:
        self._seconds, self._began, self._ranks = seconds, time.monotonic(), ranks
        self._lap: float | None = None
        self._longest = 0.0

    def allows(self, done: int) -> bool:
        """Whether one more epoch fits after `done` of them, if it takes as long as the longest so far."""
        passed = time.monotonic() - self._began
        if self._lap is not None:
            self._longest = max(self._longest, passed - self._lap)
        self._lap = passed
        if self._seconds is None or done == 0:
            return True
        return self._ranks.agreed(passed + self._longest <= self._seconds)
