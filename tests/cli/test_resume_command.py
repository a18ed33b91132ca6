"""`medarts resume`: what it refuses. Real processes that are stopped are in `tests/faults/test_stopped_commands.py`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from factories import make_search_events
from journals import write_journal
from refusals import assert_refused, invoke

from medarts_ops.cli.next_command import resumable, resume_line
from medarts_ops.cli.options import Places
from medarts_ops.errors import MedartsError, SearchError, TrainingDiverged


def test_a_name_that_an_unfinished_search_has_is_refused_with_the_command_that_goes_on(here: Path) -> None:
    write_journal(here / "medarts-work", "mine", make_search_events("mine")[:4])
    result = invoke("search", "--name", "mine")
    error, going_on = result.stderr.splitlines()
    assert result.exit_code == 1 and error.startswith("error: name 'mine' is taken")
    assert going_on == "to go on: medarts resume mine"


@pytest.mark.parametrize(("error", "goes_on"), [(SearchError("it broke off"), True), (TrainingDiverged("NaN"), False)])
def test_what_diverged_would_do_so_again_and_is_not_said_to_go_on(
    error: MedartsError, goes_on: bool, here: Path
) -> None:
    write_journal(here / "medarts-work", "mine", make_search_events("mine")[:4])
    with click.Context(click.Command("medarts")) as ctx:
        with pytest.raises(type(error)), resumable(Places(), "mine"):
            raise error
        assert (resume_line(ctx) is not None) == goes_on


def test_what_was_interrupted_while_its_end_was_told_is_synced(here: Path) -> None:
    write_journal(here / "medarts-work", "mine", make_search_events("mine"))
    with click.Context(click.Command("medarts")) as ctx:
        with pytest.raises(KeyboardInterrupt), resumable(Places(), "mine"):
            raise KeyboardInterrupt
        assert resume_line(ctx) == "medarts sync mine"


def test_a_name_that_a_finished_search_has_offers_nothing_to_go_on_with(here: Path) -> None:
    write_journal(here / "medarts-work", "mine", make_search_events("mine"))
    assert "to go on" not in invoke("search", "--name", "mine").stderr
    result = invoke("resume", "mine")
    assert result.exit_code == 1
    assert "search 'mine' is finished: there is nothing to resume" in result.stderr


def test_what_is_no_job_is_refused_and_nothing_written(here: Path) -> None:
    assert_refused(invoke("resume", "nothing"), 1, "no run 'nothing'")
    assert_refused(invoke("resume", "../mlflow"), 1, "no run '../mlflow'")
