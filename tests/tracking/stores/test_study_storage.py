"""Studies in Optuna's journal, a file of operations that several machines may share."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from factories import make_ranked, make_search_config_tiny, make_stage_result

from medarts_ops.errors import ConfigError, StoreError
from medarts_ops.tracking.stores.study_storage import open_study_storage, studies_of_search
from medarts_ops.tracking.studies.stage_record import record_stage


def recorded(url: str) -> list[tuple[object, ...]]:
    """What a storage holds of a stage that is recorded in it, once or again."""
    stage = make_stage_result((make_ranked(0, 0.9, 2e6, front=0), make_ranked(1, 0.8, 3e6, front=0)))
    record_stage(open_study_storage(url), "mine", stage, make_search_config_tiny(), str.upper, "run of stage")
    storage = open_study_storage(url)
    assert studies_of_search(storage, "mine") == ["mine/init"]
    study = optuna.load_study(study_name="mine/init", storage=storage)
    return [(each.number, each.state, each.values, each.params, each.user_attrs) for each in study.trials]


def test_a_journal_holds_what_a_database_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recorded("journal:shared/studies.log") == recorded(f"sqlite:///{tmp_path}/studies.db")
    assert (tmp_path / "shared" / "studies.log").is_file()


def test_a_line_that_a_killed_process_left_half_written_is_cut(tmp_path: Path) -> None:
    url, file = f"journal:{tmp_path / 'studies.log'}", tmp_path / "studies.log"
    before = recorded(url)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"op_code":4,"worker_id":"' + b"x" * 5000)
    open_study_storage(url)
    assert file.read_bytes() == whole
    file.write_bytes(b'{"op_code":0,"work')  # of the very first
    assert recorded(url) == before


def test_a_file_of_another_kind_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "optuna.db"
    file.write_bytes(b"SQLite format 3\0...")
    with pytest.raises(ConfigError, match="is no journal of Optuna's"):
        open_study_storage(f"journal:{file}")
    assert file.read_bytes() == b"SQLite format 3\0..." and [each.name for each in tmp_path.iterdir()] == ["optuna.db"]


def test_a_line_in_the_middle_that_is_broken_is_told_in_one(tmp_path: Path) -> None:
    url, file = f"journal:{tmp_path / 'studies.log'}", tmp_path / "studies.log"
    recorded(url)
    first, *others = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first[:9] + b"\n" + b"".join(others))
    with pytest.raises(StoreError, match="its journal has a line that is no JSON"):
        open_study_storage(url)


@pytest.mark.parametrize("address", ["journal:", "journal:/", "journal:.", "journal:here"])
def test_an_address_without_a_file_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(ConfigError, match="names no file: allowed is journal:<path"):
        open_study_storage(address)


def test_a_name_that_is_too_long_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't write the study storage .*File name too long"):
        open_study_storage(f"journal:{tmp_path / ('x' * 300)}")


def test_a_folder_that_is_a_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't write the study storage"):
        open_study_storage(f"journal:{tmp_path / 'file' / 'studies.log'}")
