"""What Ray brings beyond an executor's promises: deaths that cost epochs, and clusters that have no room."""

from __future__ import annotations

import builtins
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest
import ray
from client_of_ray import training_below
from factories import make_search_config_tiny, make_search_runtime

from medarts_ops.config_runtime import RayConfig, ResolvedSearchRuntime, SearchRuntimeConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import ConfigError, SearchError
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.on_ray import cluster as on_ray_cluster
from medarts_ops.executors.on_ray import executor as on_ray_executor
from medarts_ops.executors.on_ray import task as on_ray_task
from medarts_ops.executors.on_ray.cluster import resolved_there, start_here
from medarts_ops.executors.on_ray.executor import RayExecutor
from medarts_ops.executors.registry import build_executor
from medarts_ops.individual import EpochRecord, FailedIndividual, Individual, TrainedIndividual
from medarts_ops.populations import random_individual
from medarts_ops.tasks import TrainingTask

CONFIG = make_search_config_tiny()


def runtime(workers: int = 1, **more: object) -> ResolvedSearchRuntime:
    return make_search_runtime(workers=workers, executor="ray", ray=RayConfig.model_validate(more))


def heeds_sigterm(number: int, frame: FrameType | None) -> None:
    """What the driving process does when it is asked to end."""


@pytest.fixture(scope="module", autouse=True)
def _ray_runs() -> Iterator[None]:
    """Ray with two CPUs: what executors find running, they leave so."""
    before = signal.signal(signal.SIGTERM, heeds_sigterm)
    start_here(runtime(workers=2))
    yield
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def stage_data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("stage") / "stage-0.npz"
    prepare_search_data(CONFIG).stages[0].save(path)
    return str(path)


def task(stage_data: str, checkpoint: Path | None, epochs: int = 30) -> TrainingTask:
    return TrainingTask(
        individuals=(random_individual(CONFIG, 0),),
        stage=CONFIG.stages[0].model_copy(update={"epochs": epochs}),
        config=CONFIG,
        stage_data=stage_data,
        checkpoint=None if checkpoint is None else str(checkpoint),
    )


def training_processes() -> list[psutil.Process]:
    return training_below(psutil.Process())


class Kills:
    """Kills who trains at the first few epochs that it is told of for the first time; keeps all that it was told."""

    def __init__(self, times: int) -> None:
        self.left, self.told = times, list[EpochRecord]()

    def __call__(self, who: Individual, record: EpochRecord) -> None:
        is_new = record.epoch not in {each.epoch for each in self.told}
        self.told.append(record)
        if self.left and is_new and record.epoch:  # the checkpoint of the epoch before has come
            self.left -= 1
            for process in training_processes():
                process.kill()


def test_a_task_whose_process_dies_goes_on_from_its_checkpoint_to_the_same_bits(
    stage_data: str, tmp_path: Path
) -> None:
    (expected,) = LocalExecutor(make_search_runtime()).run([task(stage_data, None)], lambda *_: None)
    kills = Kills(2)
    (outcome,) = RayExecutor(runtime()).run([task(stage_data, tmp_path / "init-00.pt")], kills)
    assert isinstance(outcome, TrainedIndividual) and isinstance(expected, TrainedIndividual)
    assert kills.left == 0 and outcome.alpha == expected.alpha
    # What is told again is what was trained before, not trained again.
    firsts = [record for record in kills.told if record.epoch == 0]
    assert len(firsts) == 3 and len({record.seconds for record in firsts}) == 1


def test_whose_process_dies_more_often_than_is_borne_has_failed_and_the_next_goes_on(stage_data: str) -> None:
    first, second = task(stage_data, None), task(stage_data, None, epochs=1)
    failed, good = RayExecutor(runtime(retries=1)).run([first, second], Kills(2))
    assert isinstance(failed, FailedIndividual) and failed.cause == "crashed"
    assert "individual init-00, stage 'init': its process or its machine died (" in failed.reason
    assert "\n" not in failed.reason and isinstance(good, TrainedIndividual)


def test_an_interrupted_run_leaves_nobody_training(stage_data: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(RayExecutor(runtime()).run([task(stage_data, None, epochs=2000)], interrupt))
    assert_nobody_trains()


def assert_nobody_trains() -> None:
    deadline = time.monotonic() + 30
    while training_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert training_processes() == []


DRIVER = """
import os, signal, sys
from medarts_ops.executors.on_ray.executor import RayExecutor
from medarts_ops.tasks import TrainingTask
from medarts_ops.config_runtime import ResolvedSearchRuntime
task, runtime = TrainingTask.model_validate_json(sys.argv[1]), ResolvedSearchRuntime.model_validate_json(sys.argv[2])
list(RayExecutor(runtime).run([task], lambda *_: os.kill(os.getpid(), signal.SIGKILL)))
"""


def test_who_trains_ends_when_the_driver_is_killed(stage_data: str) -> None:
    address = ray.get_runtime_context().gcs_address
    long = task(stage_data, None, epochs=2000)
    words = [long.model_dump_json(), runtime(address=address).model_dump_json()]
    driver = subprocess.run([sys.executable, "-c", DRIVER, *words], capture_output=True, text=True, timeout=120)
    assert driver.returncode == -9, driver.stderr
    assert_nobody_trains()


def test_the_driver_heeds_sigterm_as_before_it_started_ray() -> None:
    assert signal.getsignal(signal.SIGTERM) is heeds_sigterm


def test_a_machine_of_another_release_is_told_what_to_install(stage_data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = RayExecutor(runtime())
    monkeypatch.setattr(on_ray_executor, "versions", lambda: {"medarts-ops": "9.9"})
    with pytest.raises(SearchError, match="a machine of the cluster has .*'Python'.*, the driving one .*9.9.*: inst"):
        list(executor.run([task(stage_data, None, epochs=1)], lambda *_: None))
    assert on_ray_task.versions()["medarts-ops"] != "9.9"


@pytest.mark.parametrize(
    "workers, more, told",
    [
        (3, {}, "runtime.workers is 3 and Ray has 2 places for tasks of 1 CPUs, 0 GPUs .*: allowed are 1 to 2 workers"),
        (
            1,
            {"gpus_per_task": 0.5},
            "has 0 places for tasks of 1 CPUs, 0.5 GPUs .*: lower runtime.ray.cpus_per_task or gpus_per_task",
        ),
        (
            1,
            {"memory": 1e5},
            r"0 GPUs and 100000 GiB \(its largest machine has 2 CPUs and 0 GPUs\): lower .*cpus_per_task or memory",
        ),
    ],
)
def test_more_than_a_cluster_has_room_for_is_refused(workers: int, more: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        RayExecutor(runtime(workers, **more))
    assert "\n" not in str(caught.value)


def test_a_cluster_says_what_auto_is() -> None:
    asked = SearchRuntimeConfig(executor="ray", ray=RayConfig(address="auto", cpus_per_task=0.5))
    found = resolved_there(asked)
    assert (found.device, found.amp, found.threads, found.workers) == ("cpu", "off", 1, 4)


def test_an_address_where_nobody_answers_is_one_line_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        began = time.monotonic()
        for given in (address, f"ray://{address}"):
            with pytest.raises(ConfigError, match=f"runtime.ray.address is '{given}' and no cluster of Ray") as caught:
                resolved_there(SearchRuntimeConfig(executor="ray", ray=RayConfig(address=given)))
            assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 30


def test_what_listens_and_is_no_cluster_is_one_line_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(on_ray_cluster, "ANSWER_WITHIN", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        told = f"runtime.ray.address is '{address}' .*what listens there does not answer as a cluster within 2 s"
        with pytest.raises(ConfigError, match=told):
            resolved_there(SearchRuntimeConfig(executor="ray", ray=RayConfig(address=address)))


def test_without_ray_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("medarts_ops.executors.on_ray")]:
        monkeypatch.delitem(sys.modules, name)
    imported = builtins.__import__

    def lacking(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(ConfigError, match=r"Ray is not installed: pip install 'medarts-ops\[ray\]'"):
        build_executor(runtime())
