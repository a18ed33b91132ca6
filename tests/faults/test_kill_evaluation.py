"""SIGKILL at every kind of change that a real evaluation makes: resumed, it ends as one that was never killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_jobs import Undisturbed

SHARES = 4
OF_ALL_STORES = {
    *("write_place", "write_started", "write_result", "FilesHere.write"),
    *("CheckpointFile.write", "CheckpointFile.delete"),
    *("Journal.keep_in", "Journal.record", "RunStore.create_run", "RunStore.log_params", "RunStore.log_dataset"),
    *("RunStore.log_text", "RunStore.log_file", "RunStore.log_metrics", "RunStore.set_tags", "RunStore.finish"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Undisturbed:
    return Undisturbed.run("evaluation", tmp_path_factory.mktemp("evaluation"), template_database)


def test_every_function_that_changes_a_store_or_a_file_is_found(whole: Undisturbed) -> None:
    assert {name for name in OF_ALL_STORES if not any(name in moment for moment in whole.moments)} == set()


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_change_and_resumed_nothing_is_lost_or_different(whole: Undisturbed, share: int) -> None:
    assert whole.different(whole.chosen()[share::SHARES]) == {}
