"""Who listens to the loading of images, and what is told."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from medarts_ops.config import DatasetConfig
from medarts_ops.data.loading import LoadingProgress, telling, told_of_loading
from medarts_ops.data.registry import load_dataset


def test_every_file_of_a_folder_is_told_once_in_each_step_and_only_while_somebody_listens(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("L", (9, 9), number).save(tmp_path / name / f"{number}.png")
    config = DatasetConfig(name="folder", data=str(tmp_path))
    told: list[LoadingProgress] = []
    with told_of_loading(told.append):
        load_dataset(config)
    load_dataset(config)
    steps = ("image files looked at", "images read")
    assert told == [LoadingProgress(step, done, 6) for step in steps for done in range(7)]


def test_whoever_listens_inside_is_told_instead_and_then_the_first_again() -> None:
    outer: list[LoadingProgress] = []
    inner: list[LoadingProgress] = []
    with told_of_loading(outer.append):
        with told_of_loading(inner.append):
            assert list(telling("step", "ab", 2)) == ["a", "b"]
        assert list(telling("step", "c", 1)) == ["c"]
    assert list(telling("step", "d", 1)) == ["d"]
    assert (len(inner), len(outer)) == (3, 2)
