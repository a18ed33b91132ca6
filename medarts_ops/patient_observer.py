"""An observer that outlives an outage of its store: what the store can't take now is told again later, in order."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Generic

from medarts_ops.errors import StoreError
from medarts_ops.observers import Event, Observer

RETRY_SECONDS = 60.0  # how long a failing store is left alone
SHORTEST_PAUSE = 10
"""A pause lasts at least so many times as long as the attempt before it: a store that hangs, rather than refuses,
takes at most a tenth of the training time."""

_logger = logging.getLogger(__name__)


class PatientObserver(Generic[Event]):
    """Holds back the events that an observer could not take, and tells them again, in order, once it can.

    The observer must bear that an event is told again after it failed half-way. A failing store is left alone for
    RETRY_SECONDS; the end of a job tries once more at once. `clock` gives seconds that only rise. A job that is part of
    one that has `begun` waits for its store from its first event on.

    Raises (from `notify`):
        StoreError: at the very first event, since a store that is away from the start is more likely a mistake than
            an outage; never afterwards. Other errors at any time.
    """

    def __init__(
        self, observer: Observer[Event], clock: Callable[[], float] = time.monotonic, *, begun: bool = False
    ) -> None:
        self._observer = observer
        self._clock = clock
        self._has_begun = begun
        self._waiting: deque[Event] = deque()
        self._next_attempt = float("-inf")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def notify(self, event: Event) -> None:
        """Tell the event now, or later if the store is away."""
        if not self._has_begun:
            self._has_begun = True
            self._observer.notify(event)
            return
        self._waiting.append(event)
        if event.job_state != "unfinished" or self._clock() >= self._next_attempt:
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        was_away = len(self._waiting) > 1
        while self._waiting:
            begun = self._clock()
            try:
                self._observer.notify(self._waiting[0])
            except StoreError as error:
                now = self._clock()
                self._next_attempt = now + max(RETRY_SECONDS, SHORTEST_PAUSE * (now - begun))
                if not was_away:
                    _logger.warning("%s; the work goes on, and the store is told later", error)
                return
            self._waiting.popleft()
        if was_away:
            _logger.info("the store answers again and was told all that happened meanwhile")
