"""A store that fails for a while, in the middle of a search."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from factories import make_search_events

from medarts_ops.errors import RunError, StoreError
from medarts_ops.observers import EvaluationEvent, EvaluationStopped, SearchEvent
from medarts_ops.patient_observer import RETRY_SECONDS, SHORTEST_PAUSE, PatientObserver
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.run_store import RunStore

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


WRITES = ("create_run", "log_batch", "log_text", "set_terminated", "log_inputs")


class Client:
    """MLflow's client, of which each different write fails once, before or after it was done."""

    def __init__(self, client: Any, fails_when_done: bool) -> None:
        self._client, self._fails_when_done = client, fails_when_done
        self.failed: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        return self._failing(name, real) if name in WRITES else real

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            described = _without_stamps(name, args, named)
            if described in self.failed:
                return real(*args, **named)
            self.failed.add(described)
            if self._fails_when_done:
                real(*args, **named)
            raise OSError("the line is cut")

        return call


def _without_stamps(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> str:
    metrics = [(metric.key, metric.step) for metric in named.get("metrics", ())]
    tags = sorted(str(tag) for tag in named.get("tags", ()))
    params = len(named.get("params", ()))
    return f"{name} {[str(each) for each in args]} {metrics} {tags} {params} {named.get('run_name')}"


@pytest.mark.parametrize("fails_when_done", [False, True], ids=["before", "after"])
def test_a_store_that_fails_at_every_write_holds_the_same_in_the_end(store: RunStore, fails_when_done: bool) -> None:
    observer = MlflowSearchObserver(store)
    patient = PatientObserver[SearchEvent](_FirstTaken(observer), clock=lambda: 0.0)
    client = Client(store._client, fails_when_done)
    store._client = client
    tell(patient, (EVENTS[0], *EVENTS))
    for _ in range(200):  # more often than there are writes
        patient._tell_waiting()
    assert patient.waiting == 0 and len(client.failed) > 30
    runs = {run.name: run for run in store.runs_of_search(observer.experiment_id, "search-test")}
    assert len(store.runs_of_search(observer.experiment_id, "search-test")) == len(runs) == 5
    assert {name: run.status for name, run in runs.items()} == {
        "search-test": "FINISHED",
        "stage-init": "FINISHED",
        "init-00": "FINISHED",
        "init-01": "FINISHED",
        "init-02": "FAILED",
    }
    assert all(run.params for run in runs.values())
    for run in runs.values():
        for metric in run.metrics:
            steps = [point.step for point in store._client.get_metric_history(run.run_id, metric)]
            assert len(steps) == len(set(steps)), (run.name, metric)


class _FirstTaken:
    """Lets a first event pass, so that the real first one is told again when it fails."""

    def __init__(self, observer: MlflowSearchObserver) -> None:
        self._observer = observer
        self._passed = False

    def notify(self, event: SearchEvent) -> None:
        if self._passed:
            self._observer.notify(event)
        self._passed = True
