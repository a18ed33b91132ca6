"""`medarts data`: what it says of images is what a search then does with them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import bad_folders as bad
import numpy as np
import pytest
from PIL import Image
from refusals import assert_refused, invoke

from medarts_ops.cli.options import config_request
from medarts_ops.cli.search import command as search
from medarts_ops.config import DatasetConfig, SearchConfig
from medarts_ops.configs.loader import resolve_search
from medarts_ops.data.dataset import LabelledImages, LoadedDataset
from medarts_ops.data.registry import DATASETS
from medarts_ops.data.search_data import prepare_search_data


def searched_by(line: str) -> SearchConfig:
    """What the command would search with."""
    program, verb, *words = shlex.split(line)
    assert (program, verb) == ("medarts", "search")
    with search.make_context("search", words) as ctx:
        return resolve_search(config_request(ctx)).config


@pytest.mark.parametrize(
    "make",
    [bad.folder_of_mixed_sizes, bad.folder_with_a_rare_class, bad.folder_of_small_images],
)
def test_the_advised_search_takes_images_that_the_presets_own_would_refuse(
    make: Callable[[Path], str], here: Path
) -> None:
    (here / "my images").mkdir()
    make(here / "my images")
    result = invoke("data", "my images", "--json")
    assert result.exit_code == 0, result.stderr
    config = searched_by(json.loads(result.stdout)["command"])
    stages = prepare_search_data(config).stages
    assert config.dataset.name == "folder" and len(stages) == 3


@pytest.mark.parametrize(
    "make",
    [
        bad.folder_without_images,
        bad.folder_of_one_class,
        bad.folder_with_a_corrupt_image,
        bad.folder_of_a_class_that_is_no_utf_8,
    ],
)
def test_what_a_search_would_refuse_is_told_with_what_to_mend_and_exit_code_1(
    make: Callable[[Path], str], here: Path
) -> None:
    (here / "images").mkdir()
    message = make(here / "images").removeprefix("'" + str(here / "images") + "/")
    told, as_json = invoke("data", "images"), invoke("data", "images", "--json")
    assert told.exit_code == as_json.exit_code == 1
    first, error = told.stderr.splitlines()
    assert first.startswith("reading images below ") and error.startswith("error: these images can't be searched yet")
    assert message in error and "To mend:" in told.stdout
    found = json.loads(as_json.stdout)
    assert message in found["problems"][0] and found["command"] is None


def test_images_that_can_not_be_read_may_be_left_out(here: Path) -> None:
    for name in ("cats", "dogs"):
        bad.save_images(here / name, 6)
    (here / "cats/torn.png").write_bytes((here / "cats/0.png").read_bytes()[:45])
    result = invoke("data", ".", "--json")
    assert result.exit_code == 1 and "or leave them out by dataset.skip_unreadable=true" in result.stderr
    assert "these images are refused by any search but the one under Next: 1 of 13 images" in result.stderr
    config = searched_by(json.loads(result.stdout)["command"])
    assert config.dataset.skip_unreadable and len(prepare_search_data(config).stages) == 3


def test_a_folder_is_told_in_full_and_ends_with_its_search(here: Path) -> None:
    for name, n in (("cats", 30), ("dogs", 5)):
        (here / "photos" / name).mkdir(parents=True)
        for number in range(n):
            Image.fromarray(np.full((160, 100), 8 * number, np.uint8)).save(here / f"photos/{name}/{number}.png")
    (here / "photos/cats/notes.txt").touch()
    result = invoke("data", "photos")
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0].startswith("photos: 35 images of 2 classes, ")
    assert lines[2:5] == ["class  images", "cats       30", "dogs        5"]
    assert {"widths   100 each", "heights  160 each", "pixels   grey 35", "formats  PNG 35"} <= set(lines)
    assert "  1 file passed over, being no images that Pillow reads: 1 .txt" in lines
    (copies,) = (line for line in lines if line.startswith("  equal images in several classes (10 images, 5 groups)"))
    assert "cats/0.png = dogs/0.png" in copies
    line = lines[lines.index("Next:") + 1]
    config = searched_by(line.strip())
    assert (config.dataset.data, config.dataset.resolution) == (str(here / "photos"), 96)
    assert config.dataset.sampling == "stratified" and {stage.batch for stage in config.stages} == {16}


def test_a_file_and_a_name_are_told_too_and_a_folder_goes_before_a_name(here: Path) -> None:
    images = np.random.default_rng(0).integers(256, size=(40, 16, 16, 3), dtype=np.uint8)
    images[7] = images[6]
    np.savez(here / "mine.npz", x_train=images, y_train=np.arange(40) % 2, x_test=images[:4], y_test=np.arange(4) % 2)
    found = json.loads(invoke("data", "mine.npz", "--json").stdout)
    assert found["survey"]["counts"] == {"train": {"0": 20, "1": 20}, "test": {"0": 2, "1": 2}}
    assert [(copies["place"], copies["images"]) for copies in found["survey"]["copies"]] == [
        ("in several classes", 2),
        ("in training and test set", 8),
    ]
    assert searched_by(found["command"]).dataset.name == "npz"
    assert json.loads(invoke("data", "digits", "--json").stdout)["survey"]["kinds"] == {"grey": 1797}
    (here / "digits").mkdir()
    assert "'digits' holds no images in class folders" in invoke("data", "digits").stderr


def test_of_very_many_classes_those_with_the_fewest_and_the_most_images_are_shown(here: Path) -> None:
    labels = np.repeat(np.arange(45), np.arange(45) + 3)
    np.savez(here / "many.npz", x_train=np.zeros((len(labels), 16, 16), np.uint8), y_train=labels)
    lines = [line.split() for line in invoke("data", "many.npz").stdout.splitlines()]
    rows = lines[lines.index(["class", "images"]) + 1 :][:40]
    assert rows == [[str(label), str(label + 3)] for label in (*range(20), *range(25, 45))]


def test_what_is_neither_a_path_nor_a_name_is_refused(here: Path) -> None:
    assert_refused(invoke("data", "nowhere"), 1, "'nowhere' is no folder and no file: allowed are a folder of class")
    for name in ("", "~nobody-of-that-name/photos", "n" * 300):
        assert_refused(invoke("data", name), 1, f"{name!r} is no folder and no file")
    (here / "text.npz").write_text("no archive")
    assert_refused(invoke("data", "text.npz"), 1, "is torn or no .npz file")


def test_a_named_dataset_is_looked_for_where_it_is_said_to_be(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[str | None] = []

    def load(config: DatasetConfig) -> LoadedDataset:
        places.append(config.data)
        images = LabelledImages(np.zeros((40, 16, 16, 3), np.uint8), np.arange(40) % 2)
        return LoadedDataset(("cat", "dog"), images, test=None, test_source="")

    monkeypatch.setitem(DATASETS.built_in, "cifar10", load)
    found = invoke("data", "cifar10", "--data", "given", "--json")
    monkeypatch.setattr("refusals.VARIABLES", ())
    monkeypatch.setenv("MEDARTS_DATA_DIR", "told")
    assert invoke("data", "cifar10").exit_code == invoke("data", "digits").exit_code == 0
    assert places == ["given", "told"] and "--data given" in json.loads(found.stdout)["command"]


def test_a_place_for_files_is_refused_where_it_would_do_nothing(here: Path) -> None:
    assert_refused(
        invoke("data", ".", "--data", "elsewhere"), 2, "--data is for a dataset with a name, and '.' is there"
    )
    assert_refused(invoke("data", "digits", "--data", "elsewhere"), 2, "comes with scikit-learn and reads no file")
