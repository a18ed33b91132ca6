"""What is left out of somebody's images is said at the start, in a dry run, and where the run keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from refusals import assert_refused, invoke

from medarts_ops.data import image_formats

PASSED_OVER = "1 file passed over, being no images that Pillow reads: 1 .heic"
HEIC = "1 HEIC photo would be read after pip install 'medarts-ops[heic]'"
LIMIT = "class 'dogs' has 4 training images, and a balanced D_sample takes no more of any class: 8 of 28 at most"
SMALL = ["--set", "runtime.threads=1", "--set", "runtime.device=cpu"]
STAGE = "stages=[{name: init, cells: 3, channels: 2, epochs: 1, images: 1.0, batch: 8, population: 1}]"
SEARCH = ["--set", STAGE, "--set", "derived={cells: 3, channels: 2, epochs: 1, least_steps: 1, batch: 8}"]


@pytest.fixture
def photos(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """30 cats, 5 dogs, one of which is held out for the test, and a file that is no image."""
    for name, n in (("cats", 30), ("dogs", 5)):
        (here / "photos" / name).mkdir(parents=True)
        for number in range(n):
            Image.new("L", (16, 16), 8 * number).save(here / "photos" / name / f"{number}.png")
    (here / "photos" / "cats" / "new.heic").touch()
    monkeypatch.setattr(image_formats, "reads_heic", lambda: False)
    return here / "photos"


def test_a_dry_run_says_what_is_passed_over_and_which_class_limits(photos: Path) -> None:
    words = ["search", "--dataset", "folder", "--data", str(photos), *SMALL, *SEARCH]
    result = invoke(*words, "--dry-run", "--json", "--set", "runtime.workers=1")
    first, *remarks = result.stderr.splitlines()
    assert first == f"reading images below {str(photos)!r}" and remarks[:2] == [PASSED_OVER, HEIC]
    assert remarks[2].startswith(LIMIT) and json.loads(result.stdout)
    assert remarks[2].endswith("or set dataset.sampling=stratified, which takes shares of all 28")
    assert remarks[3] == "training images by class: dogs 4, cats 24"


def test_a_search_and_its_evaluation_say_it_and_keep_it(photos: Path) -> None:
    words = ["--dataset", "folder", "--data", str(photos), *SMALL]
    found = invoke("search", "--name", "found", *words, *SEARCH, "--set", "runtime.workers=1")
    assert found.exit_code == 0 and PASSED_OVER in found.stderr and LIMIT in found.stderr, found.stderr
    assert "training images by class: dogs 4, cats 24" in found.stderr.splitlines()
    network = ["cells=3", "channels=2", "epochs=1", "auxiliary.weight=0"]
    trained = invoke("evaluate", "found", "--name", "trained", *SMALL, *(f"--set={each}" for each in network))
    assert trained.exit_code == 0 and PASSED_OVER in trained.stderr and LIMIT not in trained.stderr, trained.stderr
    for name, remarks in (("found", 3), ("trained", 2)):
        first = Path("medarts-work", name, "journal.jsonl").read_text(encoding="utf-8").splitlines()[1]
        assert len(json.loads(first)["event"]["dataset"]["remarks"]) == remarks


def test_two_classes_of_two_images_ask_for_more_images(here: Path) -> None:
    for name in ("cats", "dogs"):
        (here / "photos" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (16, 16), number).save(here / "photos" / name / f"{number}.png")
    refused = invoke("search", "--dataset", "folder", "--data", "photos", *SEARCH)
    message = "class 'cats' has 1 training images: D_sample needs 2 of each class"
    assert_refused(refused, 1, message)
    assert "add images to it" in refused.stderr and "raise" not in refused.stderr
