"""`medarts resume`: real processes that are stopped and killed, and what the command then makes of them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import make_search_config_tiny, make_search_events
from journals import write_journal
from refusals import assert_refused, invoke

from medarts_ops.tracking.stores.opening import open_store

RUN_MAIN = "from medarts_ops.cli.main import main; main()"
SECTIONS = ("space", "stages", "para_aug", "runtime")
EVALUATE = ("evaluate", "--genotype", "DARTS_V2", "--dataset", "digits", "--name", "mine")
SMALL = ("--set", "cells=3", "--set", "channels=2", "--set", "runtime.threads=1")


@pytest.fixture
def place(here: Path, template_database: Path) -> Path:
    """The current folder, with a store and a tiny config of three stages in it."""
    shutil.copy(template_database, "mlflow.db")
    settings = make_search_config_tiny().model_dump(mode="json", include=set(SECTIONS))
    Path("tiny.yaml").write_text(yaml.safe_dump({"search": settings}), encoding="utf-8")
    return here


def stopped(number: signal.Signals, *words: str) -> tuple[int, list[str]]:
    """Run the command in a process of its own, send the signal in its second epoch; exit code and stderr's lines."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN_MAIN, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        assert any("epoch 2/" in line for line in process.stderr)
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_search_whose_work_directory_is_gone_goes_on_from_what_its_run_keeps(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("--config", "tiny.yaml", "--set", "stages.1.epochs=40")
    with subprocess.Popen(
        [sys.executable, "-c", RUN_MAIN, "search", "--name", "moved", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("epoch 2/40" in line for line in process.stderr)
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


@pytest.mark.slow
def test_a_stopped_evaluation_goes_on_in_its_own_run(place: Path) -> None:
    exit_code, said = stopped(signal.SIGINT, *EVALUATE, *SMALL, "--set", "epochs=4")
    assert (exit_code, said[-1]) == (130, "to go on: medarts resume mine")
    found = as_json("resume", "mine")
    assert (found["epochs"], found["name"], found["waiting"]) == (4, "mine", 0)
    assert as_json("resume", found["run_id"])["run_id"] == found["run_id"]  # finished: told again, trained no more
    whole = as_json(*EVALUATE[:-1], "whole", *SMALL, "--set", "epochs=4")
    assert found["test_error"] == whole["test_error"]
    assert open_store(None).find_run(found["run_id"]).status == "FINISHED"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN_MAIN, "search", "--name", "cut", "--config", "tiny.yaml"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("epoch 1/" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)  # two at once are one to Python, which may lose it in a destructor
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    assert "Traceback" not in said


def test_a_name_that_an_unfinished_search_has_is_refused_with_the_command_that_goes_on(here: Path) -> None:
    write_journal(here / "medarts-work", "mine", make_search_events("mine")[:4])
    result = invoke("search", "--name", "mine")
    error, going_on = result.stderr.splitlines()
    assert result.exit_code == 1 and error.startswith("error: name 'mine' is taken")
    assert going_on == "to go on: medarts resume mine"


def test_a_name_that_a_finished_search_has_offers_nothing_to_go_on_with(here: Path) -> None:
    write_journal(here / "medarts-work", "mine", make_search_events("mine"))
    assert "to go on" not in invoke("search", "--name", "mine").stderr
    result = invoke("resume", "mine")
    assert result.exit_code == 1
    assert "search 'mine' is finished: there is nothing to resume" in result.stderr


def test_what_is_no_job_is_refused_and_nothing_written(place: Path) -> None:
    assert_refused(invoke("resume", "nothing"), 1, "no run 'nothing'")
    assert_refused(invoke("resume", "../mlflow"), 1, "no run '../mlflow'")
