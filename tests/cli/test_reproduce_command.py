"""`medarts reproduce`: its settings, its dry run, what it refuses, and what a stopped one leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import make_search_events
from journals import write_journal
from refusals import assert_refused, count, invoke

from medarts_ops.tracking.sync import sync_job

SMALL = ("--set", "cells=3", "--set", "channels=2", "--set", "runtime.threads=1")


ON_DIGITS = ("--dataset", "digits")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["fig7"], 2, "unknown experiment 'fig7': allowed are fig5, fig6, table3, table4; did you mean 'fig"),
        (["tabel4"], 2, "did you mean 'table4'?"),
        (["table4"], 2, "Missing argument 'SEARCH'"),
        (["fig5", "--seeds", "4-1"], 2, "--seeds is '4-1': 4-1 falls"),
        (["fig5", "--seed", "3"], 2, "No such option '--seed'"),
        (["fig5", *ON_DIGITS, "--set", "seed=3"], 2, "seed is set by --set"),
        (["fig5", "--workers", "0"], 2, "--workers is '0': allowed are 1 to"),
        (["fig5", "--workers", "many"], 2, "--workers is 'many'"),
        (["fig5", "--scale", "large"], 2, "'large' is not one of 'small', 'paper'"),
        (["fig5", *ON_DIGITS, "--csv", "--json"], 2, "exclude each other"),
        (["fig5", "--sizes", "400,200"], 2, "--sizes is '400,200'"),
        (["fig5", "--sizes", "400"], 2, "allowed are two numbers of images or more that rise"),
        (["fig5", "--sizes", "a,b"], 2, "--sizes is 'a,b'"),
        (
            ["fig5", *ON_DIGITS, "--sizes", "200,90000"],
            2,
            "fig5's sizes are 200, 90,000: allowed are 20 images (2 of each class) to 1,438",
        ),
        (
            ["fig5", *ON_DIGITS, "--networks", "2"],
            2,
            "fig5 correlates the accuracies of networks: got 2, allowed are 3 or more",
        ),
        (["fig6", "--networks", "0"], 2, "0 is not in the range"),
        (["fig5", *ON_DIGITS, "--set", "epohcs=3"], 2, "did you mean 'epochs'?"),
        (["fig5", "--dataset", "cifar11"], 2, "did you mean 'cifar10'?"),
        (["fig5", "--dataset", "npz"], 2, "dataset.data"),
        (["fig5", *ON_DIGITS, "--name", "../up"], 2, "name is '../up'"),
        (["table3"], 2, "table3 has no architecture to train: give RUN_IDs, or --zoo NAME"),
        (["table3", *ON_DIGITS, "--zoo", "DARTS_V3"], 1, "did you mean 'DARTS_V"),
        (["fig5"], 2, "no images are named: give --dataset NAME"),
        (["table3", "--zoo", "SNAS"], 2, "no images are named: give --dataset NAME"),
        (["table4", "nothing"], 1, "no run 'nothing'"),
        (["fig6", "--of", "nothing"], 1, "no run 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_half_made(words: list[str], code: int, message: str, here: Path) -> None:
    assert_refused(invoke("reproduce", *words), code, message)


def test_without_an_experiment_its_help_is_shown() -> None:
    result = invoke("reproduce")
    assert result.exit_code == 2 and "table3" in result.stderr


def told_search(here: Path, name: str, n_events: int | None = None) -> None:
    """A search in the stores, whole or as far as its first events."""
    write_journal(here / "medarts-work", name, make_search_events(name)[:n_events])
    sync_job(here / "medarts-work", name, pictures=False)


@pytest.mark.parametrize("words", [["table4", "mine"], ["table3", "mine"], ["fig5", "--of", "mine"]])
def test_a_search_that_is_not_finished_is_refused_with_the_command_that_goes_on(words: list[str], here: Path) -> None:
    told_search(here, "mine", 4)
    result = invoke("reproduce", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "`medarts resume mine`" in line
    assert [path.name for path in (here / "medarts-work").iterdir()] == ["mine"]


def test_a_search_of_one_stage_has_no_line_of_descent(here: Path) -> None:
    told_search(here, "mine")
    result = invoke("reproduce", "table4", "mine")
    assert result.exit_code == 1 and "allowed are two or more" in result.stderr


def test_a_name_that_is_taken_is_refused_before_anything_is_read(here: Path) -> None:
    told_search(here, "mine", 4)
    result = invoke("reproduce", "fig5", *ON_DIGITS, "--name", "mine")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].startswith("error: name 'mine' is taken")


def planned(*words: str) -> Any:
    result = invoke("reproduce", *words, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_dry_run_tells_trainings_hours_and_disk_and_stores_nothing(here: Path) -> None:
    words = ("fig5", *ON_DIGITS, "--networks", "3", "--sizes", "200,400", "--seeds", "0-1", "--workers", "2", *SMALL)
    estimate = planned(*words)["estimate"]
    assert (estimate["searches"], estimate["evaluations"], estimate["taken_over"]) == (0, 12, 0)
    assert 0 < estimate["hours"] == pytest.approx(estimate["training_hours"] / 2)
    parameters = sum(arm["parameters"] for arm in estimate["arms"])
    assert estimate["disk_bytes"] == parameters * 2 * 4 * 2  # of every seed, 4 bytes each, twice
    result = invoke("reproduce", *words, "--dry-run")
    assert "evaluations  12 (2 seeds)" in result.stdout and "nothing was stored" in result.stdout
    assert "timing 3 cells, 2 channels, 8×8, batch 64" in result.stderr
    assert count(here / "mlflow.db", "runs") == 0 and not (here / "medarts-work").exists()


def test_a_dry_run_needs_no_store(here: Path) -> None:
    (here / "mlflow.db").unlink()
    assert planned("fig6", *ON_DIGITS, "--networks", "3", "--seeds", "0", *SMALL)["estimate"]["evaluations"] == 6
    assert not list(here.iterdir())


def test_the_small_scale_lies_under_a_file_and_options_and_the_plan_says_how_to_repeat_it(here: Path) -> None:
    (here / "mine.yaml").write_text("evaluate: {channels: 2, cells: 4}\n")
    words = (
        "fig5",
        "--dataset",
        "digits",
        "--networks",
        "3",
        "--config",
        "mine.yaml",
        "--set",
        "cells=3",
        "--name",
        "x",
        "--seeds",
        "0",
    )
    plan = planned(*words, "--workers", "1")["plan"]
    config = plan["arms"][0]["evaluation"]
    assert (plan["scale"], config["cells"], config["channels"], config["epochs"]) == ("small", 3, 2, 8)
    assert config["dataset"]["name"] == "digits" and config["runtime"]["threads"] == 1
    assert plan["command"].startswith(
        "medarts reproduce fig5 --dataset digits --networks 3 --config mine.yaml --set cells=3 --seeds 0"
    )


def test_the_papers_scale_of_a_figure_has_its_sizes(here: Path) -> None:
    tiny = ("--set", "channels=2", "--set", "runtime.threads=1", "--set", "batch=16")
    plan = planned("fig6", *ON_DIGITS, "--scale", "paper", "--networks", "3", "--resolution", "16", *tiny)["plan"]
    config = plan["arms"][0]["evaluation"]
    assert (plan["scale"], config["cells"], config["epochs"], config["batch"]) == ("paper", 8, 100, 16)
    assert plan["seeds"] == [0, 1, 2, 3, 4]
