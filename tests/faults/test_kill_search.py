"""SIGKILL at every kind of change that real searches make: resumed, each ends as one that was never killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_jobs import Undisturbed

SHARES = 6
STUDIES = "OptunaProposer|hold_to_contract|name_objectives|open_study|record_stage|Journal._append"
OF_ALL_STORES = {
    *("Journal.keep_in", "Journal.record", "CheckpointFile.write", "StageData.save", "create_job_folder"),
    *("RunStore.create_run", "RunStore.log_params", "RunStore.log_text", "RunStore.log_file", "RunStore.log_metrics"),
    *("RunStore.log_dataset", "RunStore.set_tags", "RunStore.finish", "experiment_id"),
    *("OptunaProposer._drawn", "OptunaProposer.propose", "OptunaProposer.tell", "record_stage", "hold_to_contract"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Undisturbed:
    return Undisturbed.run("search", tmp_path_factory.mktemp("search"), template_database)


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Undisturbed:
    return Undisturbed.run("sharing search", tmp_path_factory.mktemp("sharing"), template_database)


def test_every_function_that_changes_a_store_or_a_file_is_found(whole: Undisturbed) -> None:
    assert {name for name in OF_ALL_STORES if not any(name in moment for moment in whole.moments)} == set()


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_change_and_resumed_nothing_is_lost_or_different(whole: Undisturbed, share: int) -> None:
    assert whole.different(whole.chosen()[share::SHARES]) == {}


@pytest.mark.parametrize("share", range(2))
def test_killed_in_a_study_that_it_shares_and_resumed_nothing_is_different(sharing: Undisturbed, share: int) -> None:
    assert sharing.different(sharing.chosen(STUDIES)[share::2]) == {}
