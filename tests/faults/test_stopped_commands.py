"""Commands that are stopped in real processes: what they say, and what `medarts resume` makes of them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import make_search_config_tiny
from refusals import invoke

from medarts_ops.tracking.stores.opening import open_store

RUN_MAIN = "from medarts_ops.cli.main import main; main()"
SECTIONS = ("space", "stages", "para_aug", "runtime")
EVALUATE = ("evaluate", "--genotype", "DARTS_V2", "--dataset", "digits", "--name", "mine")
SMALL = ("--set", "cells=3", "--set", "channels=2", "--set", "runtime.threads=1")


@pytest.fixture
def place(tmp_path: Path, template_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a store and a tiny config of three stages in it; nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDARTS_PICTURES", "false")
    shutil.copy(template_database, "mlflow.db")
    settings = make_search_config_tiny().model_dump(mode="json", include=set(SECTIONS))
    Path("tiny.yaml").write_text(yaml.safe_dump({"search": settings}), encoding="utf-8")
    return tmp_path


@contextmanager
def process_in(said: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, once it has said that on stderr; at its end when the block is left."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN_MAIN, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        assert any(said in line for line in process.stderr)
        yield process


def stopped(number: signal.Signals, *words: str) -> tuple[int, list[str]]:
    """Run the command in a process of its own, send the signal in its second epoch; exit code and stderr's lines."""
    with process_in("epoch 2/", *words) as process:
        process.send_signal(number)
        since = time.monotonic()
        lines = process.communicate(timeout=60)[1].splitlines()
        print(f"stopped after {time.monotonic() - since:.1f} s")
        return process.returncode, lines


def as_json(*words: str) -> Any:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def without_places(found: Any) -> Any:
    """A search's result without run ids, names and seconds, which differ between any two."""
    if isinstance(found, dict):
        differ = ("run_id", "search_id", "seconds", "name")
        return {key: without_places(value) for key, value in found.items() if key not in differ}
    return [without_places(each) for each in found] if isinstance(found, list) else found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_search_prints_the_command_that_ends_it_as_if_it_never_was(
    place: Path, number: signal.Signals, code: int
) -> None:
    options = ("--config", "tiny.yaml", "--set", "stages.0.epochs=4", "--work-dir", "my work")
    exit_code, said = stopped(number, "search", "--name", "cut", *options)
    assert (exit_code, said[-1]) == (code, "to go on: medarts resume cut --work-dir 'my work'")
    store = open_store(None)
    runs = store.runs_of_search(store.experiment_id(), "cut")
    assert {run.status for run in runs} == {"KILLED"} and len(runs) > 2
    found = as_json(*shlex.split(said[-1].removeprefix("to go on: medarts ")))
    whole = as_json("search", "--name", "whole", *options)
    assert without_places(found) == without_places(whole)
    after = store.runs_of_search(store.experiment_id(), "cut")
    assert {run.status for run in after} == {"FINISHED"}
    assert {run.run_id for run in after} >= {run.run_id for run in runs}


def test_a_search_whose_work_directory_is_gone_goes_on_from_what_its_run_keeps(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("--config", "tiny.yaml", "--set", "stages.1.epochs=12")
    with process_in("epoch 2/12", "search", "--name", "moved", *words) as process:
        process.kill()
        process.communicate()
    shutil.rmtree("medarts-work")
    run = open_store(None).find_run("moved")
    result = invoke("resume", run.run_id, "--json")
    assert result.exit_code == 0, result.output
    assert re.search(r"goes on from the \d+ finished individuals that its run keeps", caplog.text)
    found = json.loads(result.stdout)
    assert found["run_id"] == run.run_id
    whole = as_json("search", "--name", "whole", *words)
    assert without_places(found) == without_places(whole)


def test_a_stopped_evaluation_goes_on_in_its_own_run(place: Path) -> None:
    exit_code, said = stopped(signal.SIGINT, *EVALUATE, *SMALL, "--set", "epochs=4")
    assert (exit_code, said[-1]) == (130, "to go on: medarts resume mine")
    found = as_json("resume", "mine")
    assert (found["epochs"], found["name"], found["waiting"]) == (4, "mine", 0)
    assert as_json("resume", found["run_id"])["run_id"] == found["run_id"]  # finished: told again, trained no more
    whole = as_json(*EVALUATE[:-1], "whole", *SMALL, "--set", "epochs=4")
    assert found["test_error"] == whole["test_error"]
    assert open_store(None).find_run(found["run_id"]).status == "FINISHED"


def test_a_stopped_experiment_prints_the_command_that_ends_it_as_if_it_never_was(place: Path) -> None:
    sizes = ("--networks", "3", "--sizes", "200,400", "--seeds", "0", "--workers", "1")
    words = ("reproduce", "fig5", "--dataset", "digits", *sizes, *SMALL)
    exit_code, said = stopped(signal.SIGINT, *words, "--set", "epochs=3", "--name", "cut", "--no-pictures")
    assert (exit_code, said[-1]) == (130, "to go on: medarts resume cut")
    shown = invoke("show", "cut")
    assert "KILLED" in shown.stdout and "medarts resume cut" in shown.stdout
    resumed, whole = (
        json.loads(invoke(*told, "--no-pictures", "--json").stdout)
        for told in (("resume", "cut"), (*words, "--set", "epochs=3", "--fresh"))
    )
    assert [one["state"] for one in resumed["trainings"]] == ["finished"] * 6
    assert (resumed["rows"], resumed["statistics"]) == (whole["rows"], whole["statistics"])


def test_a_second_interrupt_stops_at_once(place: Path) -> None:
    with process_in("epoch 1/", "search", "--name", "cut", "--config", "tiny.yaml") as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)  # two at once are one to Python, which may lose it in a destructor
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
