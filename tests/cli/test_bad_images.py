"""Images that can't be searched or evaluated: one line on stderr, and nothing half-made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_folders import (
    folder_of_a_class_that_is_no_utf_8,
    folder_of_mixed_sizes,
    folder_of_one_class,
    folder_of_small_images,
    folder_with_a_corrupt_image,
    folder_with_a_rare_class,
    folder_without_images,
    no_folder,
    save_images,
)
from refusals import VARIABLES, assert_refused, invoke


@pytest.mark.parametrize(
    "make",
    [
        no_folder,
        folder_without_images,
        folder_of_one_class,
        folder_with_a_corrupt_image,
        folder_of_mixed_sizes,
        folder_with_a_rare_class,
        folder_of_small_images,
        folder_of_a_class_that_is_no_utf_8,
    ],
)
def test_a_folder_that_can_not_be_searched_is_refused(make: Callable[[Path], str], here: Path) -> None:
    (here / "images").mkdir()
    message = make(here / "images")
    refused = invoke("search", "--dataset", "folder", "--data", "images", "--set", "stages.0.images=8")
    assert_refused(refused, 1, message)


def test_images_in_a_folder_whose_path_is_no_utf_8_are_refused(here: Path) -> None:
    for name in ("cats", "dogs"):
        (here / "d\udce9").mkdir(exist_ok=True)
        save_images(here / "d\udce9" / name, 9)
    for words, environment in ((["--data", "d\udce9"], {}), ([], {"MEDARTS_DATA_DIR": "d\udce9"})):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("refusals.VARIABLES", [name for name in VARIABLES if name not in environment])
            for variable, value in environment.items():
                patch.setenv(variable, value)
            result = invoke("search", "--dataset", "folder", *words)
        message = "d\\udce9' is not in UTF-8, as journals and stores keep their text: rename it"
        assert_refused(result, 1, message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "needs dataset.data, which is empty"),
        ("~nobody-of-that-name/photos", "which is no folder"),
        ("n" * 300, "which is no folder"),
    ],
)
def test_a_name_that_no_folder_can_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = invoke("search", "--dataset", "folder", "--data", data, "--cache", "~nobody-of-that-name")
    assert_refused(refused, 1 if data else 2, message)


IMAGES, LABELS = np.zeros((40, 16, 16, 3), np.uint8), np.arange(40) % 2


def torn(file: Path) -> None:
    np.savez(file, x_train=IMAGES, y_train=LABELS)
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (torn, "is torn or no .npz file"),
        (lambda file: file.write_text("no archive"), "is torn or no .npz file"),
        (lambda file: np.savez(file, images=IMAGES), "lacks x_train, y_train: it holds images"),
        (lambda file: np.savez(file, x_train=IMAGES / 255.0, y_train=LABELS), "allowed is uint8"),
        (lambda file: np.savez(file, x_train=IMAGES, y_train=LABELS[:7]), "one for each image"),
        (lambda file: np.savez(file, x_train=IMAGES, y_train=np.array([{}] * 40)), "never read"),
        (lambda file: None, "does not exist"),
    ],
)
def test_a_torn_or_foreign_npz_is_refused(write: Callable[[Path], Any], message: str, here: Path) -> None:
    write(here / "mine.npz")
    assert_refused(invoke("search", "--dataset", "npz", "--data", "mine.npz"), 1, message)
    evaluation = invoke("evaluate", "--genotype", "DARTS_V2", "--dataset", "npz", "--data", "mine.npz")
    assert_refused(evaluation, 1, message)


def test_too_many_images_name_the_class_and_the_largest_number_that_works(here: Path) -> None:
    result = invoke("search", "--set", "stages.2.images=5000")
    assert_refused(result, 1, "class '8' has 139 training images; the largest that works is 1,390")
