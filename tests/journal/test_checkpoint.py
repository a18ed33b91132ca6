"""A checkpoint is whole or not there."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from medarts_ops.errors import SearchError
from medarts_ops.journal.checkpoint import CheckpointFile

PAYLOAD = bytes(range(256)) * 4


def written(folder: Path, *payloads: bytes) -> tuple[CheckpointFile, Path]:
    path = folder / "checkpoints" / "init-00.pt"
    file = CheckpointFile(path)
    for payload in payloads:
        file.write(payload)
    return file, path


def held(file: CheckpointFile) -> list[bytes]:
    return [payload for _, payload in file.payloads()]


def test_the_newest_comes_first_and_one_before_it_is_kept(tmp_path):
    file, path = written(tmp_path, b"one", b"two", b"three")
    assert held(file) == [b"three", b"two"]
    assert sorted(each.name for each in path.parent.iterdir()) == ["init-00.pt", "init-00.pt.previous"]


def test_without_a_file_there_is_nothing(tmp_path):
    assert held(CheckpointFile(tmp_path / "none.pt")) == []


@pytest.mark.parametrize("keep", [0, 1, 30, 85, 90, 100, 500, -1])
def test_a_torn_file_is_named_and_the_previous_used(tmp_path, caplog, keep):
    file, path = written(tmp_path, b"earlier", PAYLOAD)
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        assert held(file) == [b"earlier"]
    assert "init-00.pt is torn or foreign" in caplog.text


@pytest.mark.parametrize("place", range(0, 1100, 37))
def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path, place):
    file, path = written(tmp_path, b"earlier", PAYLOAD)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 0x21
    path.write_bytes(bytes(content))
    assert held(file) == [b"earlier"]


def test_a_newer_version_is_refused_politely(tmp_path):
    file, path = written(tmp_path, b"one")
    path.write_bytes(path.read_bytes().replace(b"medarts-checkpoint 1", b"medarts-checkpoint 2", 1))
    with pytest.raises(SearchError, match=r"version 2: this release reads up to version 1"):
        held(file)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_one_before_it_whole(tmp_path, monkeypatch, step):
    file, path = written(tmp_path, b"one")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(SearchError, match="No space left on device.*resume"):
        file.write(b"two")
    monkeypatch.undo()
    assert held(file) == [b"one"]
    assert [each.name for each in path.parent.iterdir()] == ["init-00.pt"]


def test_a_crash_between_the_two_renames_leaves_the_earlier_one(tmp_path):
    file, path = written(tmp_path, b"one")
    path.rename(path.with_name("init-00.pt.previous"))
    assert held(file) == [b"one"]


def test_deleting_leaves_nothing(tmp_path):
    file, path = written(tmp_path, b"one", b"two")
    file.delete()
    file.delete()
    assert list(path.parent.iterdir()) == []


def test_a_torn_file_does_not_take_the_place_of_the_good_one_before_it(tmp_path):
    file, path = written(tmp_path, b"one", b"two")
    path.write_bytes(b"torn")
    assert held(file) == [b"one"]
    file.write(b"three")
    assert held(file) == [b"three", b"one"]
    file.write(b"four")
    assert held(file) == [b"four", b"three"]


def test_the_previous_file_is_read_only_when_it_is_asked_for(tmp_path, caplog):
    file, path = written(tmp_path, b"one", b"two")
    path.with_name("init-00.pt.previous").write_bytes(b"torn")
    assert next(file.payloads()) == (path, b"two")
    assert caplog.records == []
