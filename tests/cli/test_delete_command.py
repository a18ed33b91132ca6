"""`medarts delete` on real stores in the current folder."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journals import make_proposed_events, write_journal
from mlflow_server import MlflowServer
from refusals import VARIABLES, invoke

from medarts_ops.cli import delete
from medarts_ops.journal.lock import job_lock


@pytest.fixture
def mine(here: Path) -> str:
    """The run id of a finished search `mine`, in the current folder's stores and work directory."""
    write_journal(here / "medarts-work", "mine", make_proposed_events("mine"))
    synced: dict[str, Any] = json.loads(invoke("sync", "mine", "--json").stdout)
    run_id: str = synced["run_id"]
    return run_id


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a terminal."""
    monkeypatch.setattr(delete, "_somebody_is_there", lambda: True)


def answered(answer: str, *words: str) -> Any:
    from click.testing import CliRunner

    from medarts_ops.cli.main import medarts

    return CliRunner(env=dict.fromkeys(VARIABLES)).invoke(medarts, ["delete", *words], input=answer)


def test_a_search_is_deleted_and_what_went_is_said(mine: str) -> None:
    result = invoke("delete", "mine", "--yes")
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0] == f"deleted search mine ({mine}):"
    assert lines[1:5] == [
        "  5 runs with artifacts: 1 search, 1 stage, 3 individuals",
        "  study mine/init",
        "  study mine/proposals",
        "  folder medarts-work/mine",
    ]
    assert lines[5].endswith(" in 1 folder") and not Path("medarts-work/mine").exists()
    assert "no searches yet" in invoke("runs").stdout


def test_the_result_as_json_is_all_of_stdout(mine: str) -> None:
    data = json.loads(invoke("delete", mine, "--yes", "--json").stdout)
    assert (data["run_id"], data["name"], data["kind"]) == (mine, "mine", "search")
    assert data["runs"] == {"search": 1, "stage": 1, "individual": 3}
    assert len(data["run_ids"]) == 5 and data["run_ids"][-1] == mine
    assert (data["studies"], data["folders"]) == (["mine/init", "mine/proposals"], ["medarts-work/mine"])
    assert data["folder_bytes"] > 0 and data["artifacts_left"] == []


def test_without_a_terminal_and_without_yes_nothing_is_deleted(mine: str) -> None:
    result = invoke("delete", "mine")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "--yes deletes without asking" in result.stderr
    assert mine in invoke("runs").stdout and Path("medarts-work/mine").is_dir()


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_what_goes_is_listed_and_no_is_the_answer_unless_yes_is_given(mine: str, answer: str) -> None:
    result = answered(answer, "mine", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "study mine/proposals" in result.stderr and "3 individuals" in result.stderr
    assert result.stderr.endswith("nothing was deleted\n")
    assert mine in invoke("runs").stdout and Path("medarts-work/mine").is_dir()


@pytest.mark.usefixtures("somebody")
def test_yes_deletes_and_stdout_stays_pure(mine: str) -> None:
    result = answered("y\n", "mine", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["run_id"] == mine
    assert "no searches yet" in invoke("runs").stdout


def test_on_a_real_terminal_it_asks(mine: str, here: Path) -> None:
    ours, theirs = pty.openpty()
    code = "from medarts_ops.cli.main import main; main()"
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    words = [sys.executable, "-c", code, "delete", "mine"]
    with subprocess.Popen(
        words, cwd=here, env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.write(ours, b"y\n")
        out, err = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, err
    assert "Delete all that? [y/N]" in err and out.startswith("deleted search mine")


def test_stores_and_work_directory_are_named_by_options_and_the_folder_is_kept_if_asked(here: Path) -> None:
    write_journal(here / "w", "mine", make_proposed_events("mine"))
    words = ("--work-dir", "w", "--tracking-uri", "sqlite:///mlflow.db", "--storage", "sqlite:///studies.db")
    invoke("sync", "mine", *words)
    data = json.loads(invoke("delete", "mine", "--yes", "--keep-work-dir", "--json", *words).stdout)
    assert (data["folders"], data["folder_bytes"], len(data["studies"])) == ([], 0, 2)
    assert Path("w/mine/journal.jsonl").is_file() and not Path("optuna.db").exists()


def test_a_search_at_work_is_refused_in_one_line(mine: str) -> None:
    with job_lock(Path("medarts-work/mine")):
        result = invoke("delete", "mine", "--yes")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert f"'mine' is at work in process {os.getpid()} on" in result.stderr
    assert mine in invoke("runs").stdout


def test_a_search_that_is_marked_as_running_and_has_no_folder_here_is_warned_about(here: Path) -> None:
    write_journal(here / "medarts-work", "mine", make_proposed_events("mine")[:2])
    invoke("sync", "mine")
    result = invoke("delete", "mine", "--yes", "--work-dir", "elsewhere")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: 'mine' is marked as running and has no folder in 'elsewhere'")


def test_a_second_deletion_and_a_stage_are_refused_in_one_line(mine: str) -> None:
    (stage,) = json.loads(invoke("show", "mine", "--json").stdout)["stages"]
    refused = invoke("delete", stage["run_id"], "--yes")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert f"delete the whole search with `medarts delete {mine}`" in refused.stderr
    invoke("delete", "mine", "--yes")
    again = invoke("delete", "mine", "--yes")
    assert (again.exit_code, again.stdout, again.stderr.count("\n")) == (1, "", 1)
    assert "no run 'mine'" in again.stderr


def test_on_a_server_the_runs_go_and_the_artifacts_are_said_to_wait(here: Path) -> None:
    server = MlflowServer(here)
    server.start()
    try:
        write_journal(here / "medarts-work", "mine", make_proposed_events("mine"))
        words = ("--tracking-uri", server.uri)
        invoke("sync", "mine", *words)
        result = invoke("delete", "mine", "--yes", *words)
        assert result.exit_code == 0, result.stderr
        assert "The artifacts of 5 runs are not in a folder of this store: `mlflow gc`" in result.stdout
        assert "no searches yet" in invoke("runs", *words).stdout
    finally:
        server.stop()
