"""SIGKILL at every kind of change that a real experiment makes: resumed, it ends as one that was never killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_jobs import Undisturbed

SHARES = 2
WORDS = "xperiment|Trainings|_AtWork|side_by_side|Journal._append|write_started|RunsByKey"
"""What an experiment does that the search and the evaluation, which are killed everywhere, do not; and its journals."""

ITS_OWN = {"write_place", "Journal.keep_in", "Journal.record", "RunStore.create_run", "RunStore.finish"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Undisturbed:
    return Undisturbed.run("experiment", tmp_path_factory.mktemp("experiment"), template_database)


def test_every_function_that_changes_a_store_or_a_file_is_found(whole: Undisturbed) -> None:
    assert {name for name in ITS_OWN if not any(name in moment for moment in whole.moments)} == set()


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_change_and_resumed_nothing_is_lost_or_different(whole: Undisturbed, share: int) -> None:
    assert whole.different(whole.chosen(WORDS)[share::SHARES]) == {}
