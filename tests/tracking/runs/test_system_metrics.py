"""How busy the machine is, on the run of a job that asks for it: from its start to its end, and no longer."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from factories import make_evaluation_events

from medarts_ops.observers import EvaluationStopped, SearchEvent
from medarts_ops.tracking.place import Place, write_place
from medarts_ops.tracking.recorders import EvaluationRecorder, evaluation_recorder
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.runs.system_metrics import SystemMetrics
from medarts_ops.tracking.stores.run_store import RunStore

CPU = "system/cpu_utilization_percentage"
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures twenty times a second."""
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")


def measuring() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


def wait_for_steps(store: RunStore, run_id: str, at_least: int) -> set[int]:
    end = time.monotonic() + PATIENCE
    while len(steps := store.steps(run_id, CPU)) < at_least:
        assert time.monotonic() < end, f"{len(steps)} of {at_least} measurements"
        time.sleep(0.05)
    return steps


def recorder_in(store: RunStore, folder: Path, *, system_metrics: bool) -> EvaluationRecorder:
    folder.mkdir(exist_ok=True)
    write_place(folder, Place())
    return evaluation_recorder(store, folder, pictures=False, system_metrics=system_metrics)


def test_an_evaluation_is_measured_until_it_ends(store: RunStore, tmp_path: Path) -> None:
    recorder = recorder_in(store, tmp_path / "mine", system_metrics=True)
    *before, finished = make_evaluation_events()
    for event in before:
        recorder.observer.notify(event)
    assert len(measuring()) == 1
    wait_for_steps(store, recorder.mlflow.run_id, 2)
    recorder.observer.notify(finished)
    assert measuring() == []
    run = store.find_run(recorder.mlflow.run_id)
    assert {CPU, "system/system_memory_usage_megabytes"} <= run.metrics.keys()
    assert run.status == "FINISHED"


def test_one_that_is_stopped_is_measured_no_more_and_its_curve_goes_on_with_it(store: RunStore, tmp_path: Path) -> None:
    started, *_ = make_evaluation_events()
    stopped = EvaluationStopped(reason="interrupted", interrupted=True)
    first = recorder_in(store, tmp_path / "mine", system_metrics=True)
    first.observer.notify(started)
    wait_for_steps(store, first.mlflow.run_id, 2)
    first.observer.notify(stopped)
    assert measuring() == []
    earlier = store.steps(first.mlflow.run_id, CPU)
    second = recorder_in(store, tmp_path / "mine", system_metrics=True)
    second.observer.notify(started)
    later = wait_for_steps(store, second.mlflow.run_id, len(earlier) + 1)
    second.observer.notify(stopped)
    assert sorted(later) == [*range(len(later))]


def test_of_a_search_its_own_run_is_measured_and_none_below(store: RunStore, events: tuple[SearchEvent, ...]) -> None:
    mlflow = MlflowSearchObserver(store)
    measured = SystemMetrics(store.uri, lambda: mlflow.known_run_id)
    for event in events[:-1]:
        mlflow.notify(event)
        measured.notify(event)
    wait_for_steps(store, mlflow.run_id, 1)
    mlflow.notify(events[-1])
    measured.notify(events[-1])
    runs = store.runs_of_search(mlflow.experiment_id, "search-test")
    assert len(runs) > 5
    assert [run.kind for run in runs if CPU in run.metrics] == ["search"]


def test_nothing_is_measured_unless_it_is_asked_for(store: RunStore, tmp_path: Path) -> None:
    recorder = recorder_in(store, tmp_path / "mine", system_metrics=False)
    recorder.observer.notify(make_evaluation_events()[0])
    assert measuring() == []


def test_a_store_that_goes_away_holds_nothing_up(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    def away(*_: object, **__: object) -> None:
        raise OSError("away")

    recorder = recorder_in(store, tmp_path / "mine", system_metrics=True)
    *before, finished = make_evaluation_events()
    recorder.observer.notify(before[0])
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "get_run", away)
        (thread,) = measuring()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    for event in (*before[1:], finished):
        recorder.observer.notify(event)
    assert store.find_run(recorder.mlflow.run_id).status == "FINISHED"
