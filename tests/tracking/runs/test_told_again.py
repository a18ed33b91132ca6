"""A store that fails at every write, told again what it did not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from factories import make_search_events

from medarts_ops.observers import SearchEvent
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.run_store import RunStore

EVENTS = make_search_events()
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
    for event in (EVENTS[0], *EVENTS):
        patient.notify(event)
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
