"""A search's folder is made once, under a name that is safe as a path."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medarts_ops.errors import ConfigError, SearchError
from medarts_ops.journal.folder import create_job_folder
from medarts_ops.journal.lock import job_lock


def test_the_folder_and_its_work_directory_are_made(tmp_path: Path) -> None:
    folder = create_job_folder(tmp_path / "deep" / "work", "digits-2024.1_a")
    assert folder == tmp_path / "deep" / "work" / "digits-2024.1_a"
    assert folder.is_dir()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "/abs", ".hidden", "-rf", "a b", "é", "a\n", "a\0", "x" * 101]
)
def test_a_name_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name is"):
        create_job_folder(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_a_hundred_characters_is_allowed(tmp_path: Path) -> None:
    assert create_job_folder(tmp_path, "x" * 100).is_dir()


def test_a_taken_name_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    create_job_folder(tmp_path, "mine")
    with pytest.raises(SearchError, match="'mine' is taken.*choose another name"):
        create_job_folder(tmp_path, "mine")


def test_a_name_at_work_is_told_by_its_process_and_nobody_is_told_to_remove_its_folder(tmp_path: Path) -> None:
    with job_lock(create_job_folder(tmp_path, "mine")), pytest.raises(SearchError) as caught:
        create_job_folder(tmp_path, "mine")
    assert f"'mine' is taken: it is at work in process {os.getpid()} on " in str(caught.value)
    assert "remove" not in str(caught.value)


def test_of_many_that_race_for_a_name_one_wins(tmp_path: Path) -> None:
    def attempt(_: int) -> bool:
        try:
            return create_job_folder(tmp_path / "work", "race").is_dir()
        except SearchError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1


@pytest.mark.parametrize("work_dir", ["file", "file/below"])
def test_a_work_directory_that_is_a_file_is_an_error(tmp_path: Path, work_dir: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SearchError, match="can't be used.*name a folder that can be written"):
        create_job_folder(tmp_path / work_dir, "mine")


def test_a_work_directory_that_may_not_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # a real read-only folder does not stop root
    with pytest.raises(SearchError, match="can't be used: Permission denied"):
        create_job_folder(tmp_path, "mine")
