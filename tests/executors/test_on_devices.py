"""An evaluation on two devices: stopped, killed, and gone on with by another number of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from dying_driver import evaluate_on_two, outlived
from factories import make_evaluate_config_tiny, make_genotype

from medarts_ops.config import EvaluateConfig
from medarts_ops.errors import ConfigError, SearchError
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.experiment import Arm
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.evaluation_folder import CHECKPOINT, WEIGHTS
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EVALUATION
from medarts_ops.observers import EvaluationEpochFinished, EvaluationEvent, EvaluationStopped, ProcessStarted
from medarts_ops.resolving import on_devices, resolve_evaluate_config

GENOTYPE = make_genotype("sep_conv_3x3", nodes=2)
CONFIG = on_devices(make_evaluate_config_tiny(), 2)


class Interrupts:
    """Raises when the first epoch is told, as Ctrl-C would."""

    def notify(self, event: EvaluationEvent) -> None:
        if isinstance(event, EvaluationEpochFinished):
            raise KeyboardInterrupt


class Kills:
    """Kills the second rank when the second epoch is told."""

    def notify(self, event: EvaluationEvent) -> None:
        if isinstance(event, EvaluationEpochFinished) and event.record.epoch == 1:
            ranks = sorted(active_children(), key=lambda process: int(process.name.rpartition("-")[2]))
            assert len(ranks) == 2
            ranks[1].kill()


class Story(NamedTuple):
    """What became of an evaluation: how many processes its stop and its rank's death left, and what the latter said."""

    folder: Path
    after_stop: int
    after_death: int
    said: str
    result: EvaluationResult


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Stopped in the first epoch, gone on with, killed in the second or third, and ended by one device alone."""
    folder = tmp_path_factory.mktemp("devices") / "mine"
    before = handlers()
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(CONFIG, GENOTYPE, folder=folder, observers=[Interrupts()])
    after_stop = len(active_children())
    assert handlers() == before
    with pytest.raises(SearchError) as death:
        resume_evaluation(folder, observers=[Kills()])
    after_death = len(active_children())
    result = resume_evaluation(folder, devices=1)
    return Story(folder, after_stop, after_death, str(death.value), result)


def test_a_rank_that_dies_ends_the_evaluation_in_one_line_and_leaves_no_process(story):
    of = "the process of device 2 of 2 died (SIGKILL); resume it, on fewer devices if need be"
    assert story.said == f"evaluation mine: {of}"
    assert (story.after_stop, story.after_death) == (0, 0)


def test_one_device_ends_what_two_began_and_each_epoch_is_told_once(story):
    events = [event for _, event in Journal.open(story.folder, EVALUATION).events()]
    told = [event.record.epoch for event in events if isinstance(event, EvaluationEpochFinished)]
    assert told == [0, 1, 2] == [record.epoch for record in story.result.history]
    assert [event.number for event in events if isinstance(event, EvaluationStopped)] == [0, 1]
    assert (story.folder / WEIGHTS).exists() and not (story.folder / CHECKPOINT).exists()


def test_how_many_devices_computed_is_recorded_with_each_start(story):
    events = [event for _, event in Journal.open(story.folder, EVALUATION).events()]
    devices = [event.record["runtime"]["devices"] for event in events if isinstance(event, ProcessStarted)]
    assert devices == [2, 2, 1]
    assert Journal.open(story.folder, EVALUATION).started.config.runtime.devices == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes of others")
def test_ranks_end_with_a_driver_that_was_killed(tmp_path):
    ended, ranks, seconds = outlived(evaluate_on_two, tmp_path)
    assert (ended, ranks) == (-signal.SIGKILL, 2)
    assert seconds < 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"batch": 90, "runtime": {"devices": 4}},
            r"runtime.devices is 4 and batch 90, .* allowed are 1, 2, 3, 5, 6, 9, 10, 15, 18, 30, 45, 90 devices, "
            r"or a batch of 88 or 92",
        ),
        ({"batch": 2, "runtime": {"devices": 4}}, r"allowed are 1, 2 devices, or a batch of 4, say"),
        ({"runtime": {"devices": 2, "executor": "processes"}}, r"executor 'processes', .* allowed are auto and local"),
        ({"runtime": {"devices": 2, "executor": "ray"}}, r"executor 'ray', .* allowed are auto and local, or one"),
    ],
)
def test_devices_that_cannot_share_a_training_are_refused(settings, said):
    runtime = {"device": "cpu"} | settings["runtime"]
    with pytest.raises(ConfigError, match=said):
        resolve_evaluate_config(EvaluateConfig.model_validate(settings | {"runtime": runtime}), (32, 32))


def test_more_devices_than_cards_are_refused_and_named_ones_are_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    asked = make_evaluate_config_tiny().model_copy(update={"batch": 120})
    asked = asked.model_copy(update={"runtime": asked.runtime.model_copy(update={"device": "cuda:2"})})
    assert on_devices(asked, 3).runtime.device == "cuda:0,cuda:1,cuda:2"
    assert on_devices(on_devices(asked, 3), 2).runtime.device == "cuda:0,cuda:1"
    with pytest.raises(ConfigError, match=r"devices is 4 and there are 3 cards for it \(cuda:0, .* set --devices 3"):
        on_devices(asked, 4)


def test_a_number_of_devices_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"runtime.devices: allowed is 1 or more, got 0"):
        on_devices(make_evaluate_config_tiny(), 0)


def test_an_experiment_trains_each_evaluation_on_one_device():
    with pytest.raises(ConfigError, match=r"runtime.devices of arm 'mine' is 2: .* allowed is 1"):
        Arm(name="mine", subject="mine", fingerprint="0", evaluation=CONFIG, genotype=GENOTYPE)


def test_devices_share_the_cores_where_threads_are_left_open(monkeypatch):
    monkeypatch.setattr("medarts_ops.resolving.available_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    asked = EvaluateConfig.model_validate({"runtime": {"device": "cpu", "devices": 4}})
    assert resolve_evaluate_config(asked, (32, 32)).runtime.threads == 2


def test_the_launcher_is_not_even_imported_for_one_device():
    words = "import sys, medarts_ops.evaluation; print(*[name for name in sys.modules if 'elastic' in name])"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert not said.stdout.split()
