"""`medarts reproduce` and `medarts sweep` from end to end on digits, at sizes that take seconds, and what all verbs
make of experiments."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from factories import make_search_config_tiny
from refusals import invoke

SMALL = ("--set", "cells=3", "--set", "channels=2", "--set", "epochs=1", "--set", "runtime.threads=1")
SECTIONS = ("space", "stages", "para_aug", "runtime")
QUICK = ("--workers", "1", "--no-pictures")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Path]:
    """The current folder: a store that holds the search `found` of three stages, and `tiny.yaml`, its settings."""
    folder = tmp_path_factory.mktemp("experiments")
    shutil.copy(template_database, folder / "mlflow.db")
    settings = make_search_config_tiny().model_dump(mode="json", include=set(SECTIONS))
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"search": settings}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        told("search", "--name", "found", "--config", "tiny.yaml", "--no-pictures")
        yield folder


@pytest.fixture(scope="module")
def table4(place: Path) -> dict[str, Any]:
    """Table IV of the search, with its pictures and its page, as JSON."""
    words = ("reproduce", "table4", "found", "--seeds", "0-1", "--workers", "2", "--name", "t4", "--pictures")
    return as_json(*words, *SMALL)


def told(*words: str) -> Result:
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    return result


def as_json(*words: str) -> Any:
    return json.loads(told(*words, "--json").stdout)


@pytest.mark.slow
def test_table4_trains_the_line_of_descent_with_every_seed(table4: dict[str, Any]) -> None:
    assert (table4["kind"], table4["scale"], table4["waiting"]) == ("table4", "small", 0)
    assert [row["architecture"] for row in table4["rows"]] == ["g_init", "g_mid", "g_best"]
    assert [row["published_error"] for row in table4["rows"]] == [3.32, 2.82, 2.6]
    assert [(row["error_n"], 0 < row["error"] < 1) for row in table4["rows"]] == [(2, True)] * 3
    assert [(one["arm"], one["seed"], one["state"]) for one in table4["trainings"]] == [
        (arm, seed, "finished") for seed in (0, 1) for arm in ("g_init", "g_mid", "g_best")
    ]
    columns = {column["key"]: column["origin"] for column in table4["columns"]}
    assert (columns["error"], columns["published_error"]) == ("measured here", "published")


@pytest.mark.slow
def test_runs_lists_an_experiment_with_its_kind_and_key_result(table4: dict[str, Any]) -> None:
    lines = told("runs").stdout.splitlines()
    first = lines.index("Experiments")
    at = next(number for number in range(first, len(lines)) if lines[number] == f"{table4['run_id']}  t4")
    assert lines[at + 1].endswith(" UTC, table4 on digits, FINISHED")
    lowest = min(table4["rows"], key=lambda row: row["error"])
    assert lines[at + 2].startswith(f"  lowest test error {100 * lowest['error']:.2f} % ({lowest['architecture']}), ")


@pytest.mark.slow
def test_show_prints_the_table_again_and_its_trainings(table4: dict[str, Any]) -> None:
    shown = told("show", "t4").stdout
    assert "Trainings\n" in shown and "t4.g_mid.s1, FINISHED, test error " in shown
    assert table4["title"] in shown and "g_best " in shown and f"medarts report {table4['run_id']}" in shown
    data = as_json("show", table4["run_id"])
    assert data["experiment"]["rows"] == table4["rows"]
    assert {one["run_id"] for one in data["trainings"]} == {one["run_id"] for one in table4["trainings"]}


@pytest.mark.slow
def test_a_training_is_shown_as_any_evaluation(table4: dict[str, Any]) -> None:
    shown = as_json("show", table4["trainings"][0]["run_id"])
    assert (shown["kind"], shown["name"], shown["experiment"]) == ("evaluation", "t4.g_init.s0", None)


@pytest.mark.slow
def test_report_writes_the_page_of_an_experiment(place: Path, table4: dict[str, Any]) -> None:
    assert told("report", "t4").stdout == "t4.html\n"
    page = (place / "t4.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "g_mid" in page and "published" in page
    assert "medarts reproduce table4 found --seeds 0-1" in page and "--name" not in page
    said = as_json("report", table4["run_id"], "-o", "again.html")
    assert said == {"name": "t4", "run_id": table4["run_id"], "file": "again.html", "state": "finished"}


@pytest.mark.slow
def test_resume_of_a_finished_one_tells_it_again(table4: dict[str, Any]) -> None:
    again = as_json("resume", "t4")
    assert {key: again[key] for key in ("run_id", "rows", "statistics")} == {
        key: table4[key] for key in ("run_id", "rows", "statistics")
    }


@pytest.mark.slow
def test_sync_finds_nothing_missing(table4: dict[str, Any]) -> None:
    assert as_json("sync", "t4")["written"] == {}
    assert "experiment t4 (finished): " in told("sync", "t4").stdout


@pytest.mark.slow
def test_what_was_trained_before_is_taken_over_unless_fresh(table4: dict[str, Any]) -> None:
    words = ("reproduce", "table4", "found", "--seeds", "0-1", *SMALL, *QUICK)
    planned = as_json(*words, "--dry-run")["estimate"]
    different = {one["run_id"] for one in table4["trainings"]}  # stages may have found one genotype
    assert (planned["taken_over"], planned["hours"]) == (len(different), 0)
    assert as_json(*words, "--dry-run", "--fresh")["estimate"]["taken_over"] == 0
    again = as_json(*words, "--name", "t4-again")
    assert [one["taken_from"] for one in again["trainings"]] == [one["run_id"] for one in table4["trainings"]]
    assert again["rows"] == table4["rows"] and any("taken over" in note for note in again["notes"])
    compared = as_json("compare", "t4", "t4-again")
    assert compared["kind"] == "experiment"
    assert "No genotype" not in told("compare", "t4", "t4-again").stdout
    told("delete", "t4-again", "--yes")
    assert as_json("show", "t4")["status"] == "FINISHED"


@pytest.mark.slow
def test_table3_compares_found_and_published_ones_and_lists_what_the_space_can_not_hold(place: Path) -> None:
    words = ("reproduce", "table3", "found", "--zoo", "DARTS_V2", "--seeds", "0", *SMALL, *QUICK, "--csv")
    rows = list(csv.DictReader(io.StringIO(told(*words).stdout)))
    measured = [row["architecture"] for row in rows if row["error"]]
    assert measured == ["found", "DARTS_V2"]
    assert [row["error_std"] for row in rows if row["error"]] == ["", ""]
    assert any(row["architecture"].startswith("DenseNet-BC") and row["published_error"] == "3.46" for row in rows)
    assert {row["parameters"].isdecimal() for row in rows if row["error"]} == {True}


@pytest.mark.slow
def test_fig5_correlates_networks_on_growing_samples(place: Path) -> None:
    words = (
        "reproduce",
        "fig5",
        "--dataset",
        "digits",
        "--networks",
        "3",
        "--sizes",
        "200,400",
        "--seeds",
        "0",
        *SMALL,
        *QUICK,
    )
    found = as_json(*words)
    keys = {statistic["key"]: statistic for statistic in found["statistics"]}
    assert keys["pearson"]["published"] == 0.9899 and {"spearman", "kendall"} <= keys.keys()
    assert len(found["rows"]) == 3 and len(found["trainings"]) == 6


@pytest.mark.slow
def test_fig6_trains_the_networks_of_a_search_at_both_resolutions(place: Path) -> None:
    words = ("reproduce", "fig6", "--of", "found", "--networks", "3", "--seeds", "0", *SMALL, *QUICK)
    found = as_json(*words)
    assert {one["condition"] for one in found["trainings"]} == {"8×8", "16×16"}
    assert next(each for each in found["statistics"] if each["key"] == "pearson")["published"] == 0.8827


@pytest.mark.slow
def test_a_sweep_of_searches_evaluates_what_it_finds(place: Path) -> None:
    stages = "stages=[{name: init, cells: 3, channels: 2, epochs: 1, images: 80, batch: 20, population: 2}]"
    sizes = ("--set", "evaluate.cells=3", "--set", "evaluate.channels=2", "--set", "evaluate.epochs=1")
    words = ("sweep", "--config", "tiny.yaml", "--vary", "strategy.order=first,second", "--evaluate", "--seeds", "0")
    result = told(*words, *sizes, "--set", stages, "--set", "evaluate.runtime.threads=1", *QUICK, "--name", "orders")
    assert "strategy.order=second" in result.stdout and "±" not in result.stdout
    assert "1 of 4: strategy.order=first, seed 0, search finished in " in result.stderr
    shown = as_json("show", "orders")
    assert [row["arm"] for row in shown["experiment"]["rows"]] == ["strategy.order=first", "strategy.order=second"]
    assert sorted(one["kind"] for one in shown["trainings"]) == ["evaluation"] * 2 + ["search"] * 2
    listed = as_json("runs")
    assert {row["name"]: row["part_of"] for row in listed if row["name"].startswith("orders")} == {
        f"orders.order-{order}.s0.search": shown["run_id"] for order in ("first", "second")
    }
    assert "orders.order-first.s0.search" not in told("runs").stdout  # it is listed by its experiment
    assert "orders.order-first.s0.search" in told("show", "orders").stdout


@pytest.mark.slow
def test_a_sweep_of_a_file_trains_given_genotypes(place: Path) -> None:
    (place / "sweep.yaml").write_text(
        "extends: digits\n"
        "evaluate: {cells: 3, channels: 2, epochs: 1, runtime: {threads: 1}}\n"
        "vary: {weights.lr: [0.025, 0.1]}\n"
        "seeds: 0-1\n"
    )
    found = as_json("sweep", "sweep.yaml", "--genotype", "DARTS_V2", "--seeds", "3", *QUICK)
    assert [(one["arm"], one["seed"]) for one in found["trainings"]] == [("lr-0.025", 3), ("lr-0.1", 3)]
    assert [row["arm"] for row in found["rows"]] == ["weights.lr=0.025", "weights.lr=0.1"]


@pytest.mark.slow
def test_a_training_that_fails_is_told_and_the_others_go_on(place: Path) -> None:
    words = ("sweep", "--genotype", "DARTS_V2", "--dataset", "digits", "--seeds", "5", *SMALL, *QUICK)
    result = told(*words, "--vary", "weights.lr=0.025,1e30")
    assert "2 of 2: weights.lr=1e+30, seed 5 failed: " in result.stderr and "; the others go on" in result.stderr
    assert "experiment finished: 2 trainings, 1 failed" in result.stderr
    assert "failed: lr-1e-30.s5 diverged: " in result.stdout
    assert "1 failed" in told("runs").stdout


@pytest.mark.slow
def test_an_experiment_that_measured_nothing_is_an_error(place: Path) -> None:
    words = ("sweep", "--genotype", "DARTS_V2", "--dataset", "digits", "--seeds", "5", *SMALL, *QUICK, "--json")
    result = invoke(*words, "--vary", "weights.lr=1e29,1e30")
    assert result.exit_code == 1 and result.stderr.splitlines()[-1].startswith("error: nothing was measured: all 2 ")
    assert [one["state"] for one in json.loads(result.stdout)["trainings"]] == ["failed"] * 2


@pytest.mark.slow
def test_a_table_that_somebody_broke_is_a_line_beside_the_rest(place: Path, table4: dict[str, Any]) -> None:
    (file,) = place.rglob(f"{table4['run_id']}/artifacts/table.json")
    whole = file.read_text(encoding="utf-8")
    try:
        for broken in ("{", "[]", '{"rows": 3}', '{"version": 99}'):
            file.write_text(broken, encoding="utf-8")
            shown = told("show", "t4").stdout
            assert "What can't be read\n" in shown and "t4.g_mid.s1, FINISHED" in shown
            assert as_json("show", "t4")["experiment"] is None
    finally:
        file.write_text(whole, encoding="utf-8")


@pytest.mark.slow
def test_deleting_an_experiment_takes_its_trainings_and_no_search_that_was_there(place: Path) -> None:
    words = ("reproduce", "table4", "found", "--seeds", "7", *SMALL, *QUICK, "--name", "gone")
    run_ids = {one["run_id"] for one in as_json(*words)["trainings"]}
    deleted = as_json("delete", "gone", "--yes")
    assert deleted["kind"] == "experiment" and deleted["runs"] == {"evaluation": len(run_ids), "experiment": 1}
    assert all(invoke("show", run_id).exit_code == 1 for run_id in run_ids)
    assert not list(place.glob("medarts-work/gone*")) and as_json("show", "found")["status"] == "FINISHED"
