"""`medarts sync`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import make_search_events
from journals import write_journal
from refusals import assert_refused, invoke

from medarts_ops.tracking.stores.run_store import RunStore


@pytest.fixture
def journal(here: Path) -> Path:
    """The journal of a finished search `mine` in the current folder's work directory."""
    write_journal(here / "medarts-work", "mine", make_search_events("mine"))
    return here


def test_the_stores_of_the_current_folder_are_filled(journal: Path) -> None:
    result = invoke("sync", "mine")
    first, second = result.stdout.splitlines()
    assert first.startswith("search mine (finished): the stores hold all 9 events; 5 runs, ")
    assert first.endswith(" written")
    assert result.exit_code == 0 and second.startswith("run id  ")
    assert "mine" in invoke("runs").stdout


def test_json_says_the_same_and_the_second_time_too(journal: Path) -> None:
    first, second = (json.loads(invoke("sync", "mine", "--json").stdout) for _ in range(2))
    assert first == second | {"written": first["written"]} and second["lost"] == []
    assert (first["written"]["runs"], second["written"]) == (5, {})
    assert (first["search_id"], first["events"], first["state"]) == ("mine", 9, "finished")


def test_what_was_deleted_in_mlflow_is_said_and_the_second_time_that_nothing_was_missing(journal: Path) -> None:
    run_id = json.loads(invoke("sync", "mine", "--no-pictures", "--json").stdout)["run_id"]
    RunStore(f"sqlite:///{journal / 'mlflow.db'}", journal / "mlruns")._client.delete_run(run_id)
    first, second = (invoke("sync", "mine", "--no-pictures").stdout.splitlines() for _ in range(2))
    assert first[0] == "search mine (finished): the stores hold all 9 events; 1 restored run written"
    assert second[0] == "search mine (finished): the stores hold all 9 events; nothing was missing"
    assert first[1] == second[1] == f"run id  {run_id}"


def test_stores_and_work_directory_are_named_by_options(here: Path) -> None:
    write_journal(here / "w", "mine", make_search_events("mine")[:3])
    words = ("--work-dir", "w", "--tracking-uri", "sqlite:///mlflow.db", "--storage", "sqlite:///studies.db")
    assert "mine (unfinished)" in invoke("sync", "mine", *words).stdout
    assert (here / "studies.db").exists() and not (here / "optuna.db").exists()


def test_a_search_without_a_journal_is_refused_and_nothing_written(here: Path) -> None:
    assert_refused(invoke("sync", "mine"), 1, "no search has a journal in 'medarts-work'")


def test_a_name_that_leaves_the_work_directory_is_refused(here: Path) -> None:
    assert_refused(invoke("sync", "../mine"), 2, "name is '../mine'")
