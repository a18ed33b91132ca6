"""Several cards without Ray. None is at hand: workers here only say which card they were given (made_up_cards.py)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import made_up_cards
import pytest
from factories import make_search_config_tiny, make_search_runtime
from made_up_cards import MadeUpTask

from medarts_ops.config import SearchConfig
from medarts_ops.errors import ConfigError
from medarts_ops.executors import processes
from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.resolving import resolve_config_alone
from medarts_ops.training import runtime as runtimes
from medarts_ops.training.runtime import Device


@contextmanager
def executor(device: str, workers: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessExecutor]:
    monkeypatch.setattr(processes, "work", made_up_cards.work)
    with closing(ProcessExecutor(make_search_runtime(device=device, workers=workers))) as made:
        yield made


def carried_out(executor: ProcessExecutor, tasks: list[MadeUpTask]) -> dict[int, str]:
    return dict(executor.run(tasks, lambda who, progress: None))  # type: ignore[type-var]


def test_workers_take_cards_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with executor("cuda:0,cuda:2", 4, monkeypatch) as made:
        found = carried_out(made, [MadeUpTask(number) for number in range(8)])
        of_workers = Counter(worker.device for worker in made._workers)
    assert set(found) == set(range(8)) and of_workers == {"cuda:0": 2, "cuda:2": 2}


def test_a_card_that_fails_costs_its_own_tasks_and_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [MadeUpTask(number, broken=("cuda:1",)) for number in range(12)]
    with caplog.at_level(logging.WARNING), executor("cuda:0,cuda:1", 2, monkeypatch) as made:
        found = carried_out(made, tasks)
        assert [worker.device for worker in made._workers] == ["cuda:0"]
        again = carried_out(made, [MadeUpTask(number) for number in range(3)])
    assert sorted(found) == list(range(12)) and Counter(found.values()) == {"cuda:0": 10, "crashed on cuda:1": 2}
    assert set(again.values()) == {"cuda:0"}
    assert "cuda:1 is left alone from here on" in caplog.text


def test_a_task_that_breaks_a_card_does_not_cost_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [MadeUpTask(0, work=9.0, broken=("cuda:0", "cuda:1"))]
    with executor("cuda:0,cuda:1", 2, monkeypatch) as made:
        found = carried_out(made, broken + [MadeUpTask(number) for number in range(1, 9)])
        assert {worker.device for worker in made._workers} == {"cuda:0", "cuda:1"}
    assert found[0] == "crashed on cuda:0" and set(found.values()) == {"crashed on cuda:0", "cuda:0", "cuda:1"}


def test_the_only_card_is_tried_again_with_a_new_process_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [MadeUpTask(number, broken=("cuda:0",) if number < 3 else ()) for number in range(4)]
    with executor("cuda:0", 1, monkeypatch) as made:
        assert carried_out(made, tasks) == dict.fromkeys(range(3), "crashed on cuda:0") | {3: "cuda:0"}


@pytest.fixture
def three_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch says of a machine with three cards, the last of them an older one."""
    monkeypatch.setattr(runtimes.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(runtimes.torch.cuda, "device_count", lambda: 3)
    capability = {0: (8, 0), 1: (8, 0), 2: (7, 5)}
    monkeypatch.setattr(runtimes.torch.cuda, "get_device_capability", lambda device: capability[device.index])


def resolved(**runtime: object) -> dict[str, object]:
    config = make_search_config_tiny()
    asked = {**config.model_dump(), "runtime": {"threads": 1, **runtime}}
    found = resolve_config_alone(SearchConfig.model_validate(asked), (8, 8)).runtime
    return found.model_dump(include={"device", "workers", "amp"})


@pytest.mark.usefixtures("three_cards")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"device": "auto"}, ("cuda:0,cuda:1,cuda:2", 3, "fp16")),  # what all of them are fast at
        ({"device": "cuda", "workers": 2}, ("cuda:0,cuda:1", 2, "bf16")),
        ({"device": "cuda", "workers": 6}, ("cuda:0,cuda:1,cuda:2", 6, "fp16")),
        ({"device": "cuda:0,cuda:2"}, ("cuda:0,cuda:2", 2, "fp16")),
        ({"device": "cuda:1"}, ("cuda:1", 1, "bf16")),
        ({"device": "auto", "executor": "local"}, ("cuda:0", 1, "bf16")),
    ],
    ids=str,
)
def test_all_visible_cards_are_taken_unless_fewer_are_asked_for(
    asked: dict[str, object], found: tuple[str, int, str]
) -> None:
    got = resolved(**asked)
    assert (got["device"], got["workers"], got["amp"]) == found


@pytest.mark.usefixtures("three_cards")
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"device": "cuda:0,cuda:3"}, "runtime.device is 'cuda:3': this machine has 3 CUDA device"),
        ({"device": "cuda:1,cuda:1"}, "allowed is each card once"),
        ({"device": "cuda:0,cuda:1", "workers": 1}, "runtime.workers is 1.*a card would be idle"),
        ({"device": "cuda:0,cuda:1", "executor": "local"}, "runtime.executor is 'local': this process trains on one"),
        ({"device": "cuda:0,cuda:1", "executor": "ray"}, "Ray gives each task a card of its own"),
        ({"device": "cuda:0,cpu"}, "runtime.device"),
    ],
    ids=str,
)
def test_cards_that_nothing_can_be_trained_on_are_refused(asked: dict[str, object], told: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=told):
        resolved(**asked)


@pytest.mark.usefixtures("three_cards")
def test_cards_beyond_a_stages_individuals_get_no_worker() -> None:
    config = make_search_config_tiny()
    stages = [stage.model_dump() | {"population": 1} for stage in config.stages[:1]]
    asked = {**config.model_dump(), "stages": stages, "runtime": {"threads": 1, "device": "auto"}}
    found = resolve_config_alone(SearchConfig.model_validate(asked), (8, 8)).runtime
    assert (found.device, found.workers) == (str(Device("cuda:0")), 1)
