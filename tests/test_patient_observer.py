"""A store that fails for a while, in the middle of a search."""

from __future__ import annotations

import logging

import pytest
from factories import make_search_events

from medarts_ops.errors import RunError, StoreError
from medarts_ops.observers import EvaluationEvent, EvaluationStopped, SearchEvent
from medarts_ops.patient_observer import RETRY_SECONDS, SHORTEST_PAUSE, PatientObserver

EVENTS = make_search_events()


class Flaky:
    """Takes events unless `error` is set; an attempt takes `seconds` of the clock `now`."""

    def __init__(self) -> None:
        self.told: list[SearchEvent] = []
        self.attempts = 0
        self.error: Exception | None = None
        self.now = 0.0
        self.seconds = 0.0

    def notify(self, event: SearchEvent) -> None:
        self.attempts += 1
        self.now += self.seconds
        if self.error is not None:
            raise self.error
        self.told.append(event)


@pytest.fixture
def flaky() -> Flaky:
    return Flaky()


@pytest.fixture
def patient(flaky: Flaky) -> PatientObserver[SearchEvent]:
    """Patient with `flaky`, which has taken the first event and is away now."""
    made = PatientObserver[SearchEvent](flaky, clock=lambda: flaky.now)
    made.notify(EVENTS[0])
    flaky.error = StoreError("the store is away")
    return made


def tell(patient: PatientObserver[SearchEvent], events: tuple[SearchEvent, ...]) -> None:
    for event in events:
        patient.notify(event)


def test_events_of_an_outage_are_told_afterwards_in_order(flaky: Flaky, patient: PatientObserver[SearchEvent]) -> None:
    tell(patient, EVENTS[1:4])
    assert (flaky.attempts, patient.waiting) == (2, 3)  # one attempt, then the store is left alone
    flaky.error, flaky.now = None, RETRY_SECONDS
    patient.notify(EVENTS[4])
    assert (tuple(flaky.told), patient.waiting) == (EVENTS[:5], 0)


def test_a_store_that_is_away_from_the_start_is_an_error(flaky: Flaky) -> None:
    flaky.error = StoreError("the store is away")
    with pytest.raises(StoreError, match="is away"):
        PatientObserver[SearchEvent](flaky).notify(EVENTS[0])


def test_a_store_that_hangs_takes_a_tenth_of_the_time(flaky: Flaky, patient: PatientObserver[SearchEvent]) -> None:
    flaky.seconds = 20.0
    patient.notify(EVENTS[1])
    flaky.now += SHORTEST_PAUSE * 20.0 - 1
    patient.notify(EVENTS[2])
    assert flaky.attempts == 2
    flaky.now += 1
    patient.notify(EVENTS[3])
    assert flaky.attempts == 3


def test_the_last_event_is_tried_at_once(flaky: Flaky, patient: PatientObserver[SearchEvent]) -> None:
    tell(patient, EVENTS[1:-1])
    flaky.error = None
    patient.notify(EVENTS[-1])
    assert (tuple(flaky.told), patient.waiting) == (EVENTS, 0)


def test_what_waits_at_the_end_is_counted(flaky: Flaky, patient: PatientObserver[SearchEvent]) -> None:
    tell(patient, EVENTS[1:])
    assert (flaky.attempts, patient.waiting) == (3, len(EVENTS) - 1)


def test_an_outage_is_said_once(
    flaky: Flaky, patient: PatientObserver[SearchEvent], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        tell(patient, EVENTS[1:])
    assert caplog.messages == ["the store is away; the work goes on, and the store is told later"]


def test_other_errors_are_not_hidden(flaky: Flaky, patient: PatientObserver[SearchEvent]) -> None:
    flaky.error = RunError("a bug")
    with pytest.raises(RunError):
        patient.notify(EVENTS[1])


def test_evaluations_are_held_back_too() -> None:
    told: list[EvaluationEvent] = []

    class Once:
        def notify(self, event: EvaluationEvent) -> None:
            told.append(event)
            if len(told) == 2:
                raise StoreError("away")

    patient = PatientObserver[EvaluationEvent](Once())
    stopped = EvaluationStopped(reason="a", interrupted=False)
    for _ in range(3):
        patient.notify(stopped)
    assert (len(told), patient.waiting) == (4, 0)
