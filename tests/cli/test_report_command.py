"""`medarts report` on a real store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import make_search_events
from journals import write_journal

from medarts_ops.cli.main import medarts
from medarts_ops.tracking.sync import sync_job


def invoke(*words: str) -> Result:
    return CliRunner().invoke(medarts, words)


@pytest.fixture
def mine(here: Path) -> Path:
    """The current folder, with the finished search `mine` in its stores."""
    write_journal(here / "medarts-work", "mine", make_search_events("mine"))
    sync_job(here / "medarts-work", "mine", pictures=False)
    return here


def test_the_page_is_written_beside_and_logged_with_the_run(mine: Path) -> None:
    result = invoke("report", "mine")
    assert (result.exit_code, result.stdout) == (0, "mine.html\n")
    page = (mine / "mine.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    (logged,) = mine.rglob("artifacts/report.html")
    assert logged.read_text(encoding="utf-8") == page


def test_it_goes_where_it_is_told_and_says_so_as_json(mine: Path) -> None:
    result = invoke("report", "mine", "--output", "found.html", "--json")
    said = json.loads(result.stdout)
    assert (said["file"], said["search_id"], said["state"]) == ("found.html", "mine", "finished")
    assert (mine / "found.html").exists() and not (mine / "mine.html").exists()


def test_a_folder_that_is_not_there_is_one_line_and_leaves_nothing(mine: Path) -> None:
    result = invoke("report", "mine", "--output", "nowhere/found.html")
    assert result.exit_code == 1
    assert "'nowhere/found.html' can't be written" in result.stderr and "--output" in result.stderr
    assert list(mine.rglob("*.html")) == []


def test_an_unknown_search_is_named_with_the_near_miss(mine: Path) -> None:
    result = invoke("report", "mina")
    assert result.exit_code == 1
    assert "did you mean 'mine'?" in result.stderr
    assert "Traceback" not in result.stderr
